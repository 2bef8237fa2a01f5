#!/bin/sh
# Builds an emulated ARM machine, once, and prints the folder that holds it: arm-machine.sh SUITE EMULATOR
#   disk     a root file system: Debian of that suite for arm64, configured, with systemd, a kernel, and Debian's Python,
#            numpy and Pillow
#   vmlinuz  its kernel
#   initrd   and what that begins with
#   wheels/  what pip is to fetch on the device
# EMULATOR is arm-roots.sh's qemu-aarch64: packages are configured under it.
# Takes PYTHON (its pip fetches the wheels) and EDGE_TESTBED_CACHE from the environment. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$here/build.sh"
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$here/container.sh"

python=${PYTHON:-python3}
suite=$1 emulator=$2
build_in "$cache/arm-machine-$suite" "$0" "$here/in-emulated.sh" "$here/container.sh"
root=$new/root

packages=systemd,systemd-sysv,udev,dbus,python3,python3-venv,python3-numpy,python3-pil,linux-image-arm64
# An initrd of three modules is made and unpacked in a fraction of the time of the usual one.
# shellcheck disable=SC2016  # mmdebstrap's shell fills it in
small_initrd='mkdir -p "$1/etc/initramfs-tools/conf.d"
printf "MODULES=list\nCOMPRESS=gzip\n" >"$1/etc/initramfs-tools/conf.d/small"
printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules"'

say "building $suite for arm64 with a kernel (some minutes)"
run 3600 "$here/in-emulated.sh" "$emulator" mmdebstrap --quiet --mode=root --aptopt="$new/apt.conf" \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --variant=apt --architectures=arm64 --include="$packages" \
    --essential-hook="$small_initrd" "$suite" "$root" ${mirror:+"$mirror"} >&2

say 'fetching the wheels'
case $suite in
bookworm) version=3.11 runtime=tflite-runtime==2.14.0 ;;
*) version=3.13 runtime='ai-edge-litert>=2.1 ml_dtypes' ;;
esac
# shellcheck disable=SC2086  # a list of words
run 600 "$python" -m pip download --quiet --only-binary :all: --no-deps --python-version "$version" --implementation cp \
    --abi "cp$(echo "$version" | tr -d .)" --abi none --platform manylinux_2_34_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux2014_aarch64 --platform any --dest "$new/wheels" $runtime \
    flatbuffers tqdm typing-extensions backports.strenum protobuf >&2

say 'making its disk'
systemctl --root="$root" --quiet mask systemd-networkd.service systemd-resolved.service systemd-networkd-wait-online.service
mkdir "$root/payload"
echo '/dev/vdb /payload ext4 defaults 0 0' >"$root/etc/fstab"
add_trial "$root" arm-trial.sh
mv "$root"/boot/vmlinuz-* "$new/vmlinuz"
mv "$root"/boot/initrd.img-* "$new/initrd"
: >"$new/disk"
run 1800 mke2fs -q -t ext4 -d "$root" "$new/disk" 3G

built disk vmlinuz initrd wheels
