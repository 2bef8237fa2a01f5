#!/bin/sh
# Runs a command in an ARM root on an emulated processor: in-root.sh CACHE ROOT RUNTIME PROCESSOR WORK COMMAND...
# CACHE is what arm-roots.sh printed; WORK is a folder that is /trial within, its site/ on Python's path.
# All is in namespaces of its own (the emulator's registration with the kernel too) and gone with the command.
set -eu

if [ "${EDGE_IN_NAMESPACE:-}" != yes ]; then
    EDGE_IN_NAMESPACE=yes exec unshare --user --map-root-user --mount "$0" "$@"
fi

cache=$1 root=$1/$2 runtime=$3 processor=$4 work=$5
shift 5
case ${root##*-} in
arm64) emulator=qemu-aarch64 class=02 machine=b7 ;;
armhf) emulator=qemu-arm class=01 machine=28 ;;
esac

mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null || {
    echo "in-root: this kernel keeps no programs' formats of a namespace's own: Linux 6.7 or newer does, with binfmt_misc" >&2
    exit 1
}
# An ELF file's first bytes: its class (32 or 64 bits), little-endian; a program or a shared object; for that machine.
# P: it keeps the name it was called by. O, F: the emulator is opened here, where its path is known.
printf ':%s:M::\\x7fELF\\x%s\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x%s\\x00:%s:%s:POF' \
    "$emulator" "$class" "$machine" \
    '\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff' "$cache/$emulator" \
    >/proc/sys/fs/binfmt_misc/register

for folder in /dev /proc /sys; do mount --rbind "$folder" "$root$folder"; done
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$work" "$root/trial"
exec env -i PATH=/usr/bin:/bin HOME=/tmp PYTHONPATH="/trial/site:/opt/$runtime" PYTHONDONTWRITEBYTECODE=1 QEMU_CPU="$processor" \
    /usr/sbin/chroot "$root" "$@"
