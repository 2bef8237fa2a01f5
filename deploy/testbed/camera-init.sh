#!/bin/sh
# The first process of the camera's machine: brings up its camera, runs /project/run from the second disk, and ends the machine.
# It is all that the machine needs to do, and half a minute sooner there than a whole system.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -o remount,rw /
/usr/lib/systemd/systemd-udevd --daemon # libcamera lists devices that udev has seen
modprobe vimc
udevadm trigger --action=add
udevadm settle --timeout=60
ln -s system /dev/dma_heap/linux,cma # where picamera2 looks for memory for its frames
mkdir -p /project
mount -t ext4 /dev/vdb /project
/project/run
umount /project
echo o >/proc/sysrq-trigger
sleep 60 # while that takes effect: the kernel panics when its first process ends
