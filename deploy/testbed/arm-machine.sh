#!/bin/sh
# Builds an emulated ARM machine, once, and prints the folder that holds it: arm-machine.sh SUITE ARCHITECTURE EMULATOR
#   disk     a root file system: Debian of that suite, configured, with systemd, a kernel, and Debian's Python, numpy and
#            Pillow
#   vmlinuz  its kernel
#   initrd   and what that begins with
#   wheels/  what pip is to fetch on the device, by runtime: tflite/ litert/, where there is one for it
# ARCHITECTURE is arm64 or armhf; EMULATOR the one for it that arm-roots.sh unpacked: packages are configured under it.
# Takes PYTHON (its pip fetches the wheels) and EDGE_TESTBED_CACHE from the environment. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$here/build.sh"
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$here/container.sh"

suite=$1 architecture=$2 emulator=$3
build_in "$cache/arm-machine-$suite-$architecture" 3000 "$0" "$here/in-emulated.sh" "$here/container.sh"
root=$new/root

case $architecture in
arm64) kernel=linux-image-arm64 platforms='manylinux_2_34_aarch64 manylinux_2_27_aarch64 manylinux2014_aarch64' ;;
armhf) kernel=linux-image-armmp platforms=manylinux_2_34_armv7l ;;
esac
packages=systemd,systemd-sysv,udev,dbus,passwd,python3,python3-venv,python3-numpy,python3-pil,$kernel
# An initrd of three modules is made and unpacked in a fraction of the time of the usual one.
# shellcheck disable=SC2016  # mmdebstrap's shell fills it in
small_initrd='mkdir -p "$1/etc/initramfs-tools/conf.d"
printf "MODULES=list\nCOMPRESS=gzip\n" >"$1/etc/initramfs-tools/conf.d/small"
printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules"'

# It says much that is no fault: that it may not mount, and mounts otherwise.
say "building $suite for $architecture with a kernel (some minutes)"
run 3600 "$here/in-emulated.sh" "$emulator" mmdebstrap --quiet --mode=root --aptopt="$new/apt.conf" --skip=check/qemu \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --variant=apt --architectures="$architecture" --include="$packages" \
    --essential-hook="$small_initrd" "$suite" "$root" ${mirror:+"$mirror"} >"$new/said" 2>&1 || {
    tail -n 20 "$new/said" >&2
    no_packages "Debian $suite"
}

# fetch RUNTIME REQUIREMENT...: with what it needs beside Debian's packages.
fetch() {
    runtime=$1
    shift
    say "fetching the wheels of $runtime for $suite, $architecture"
    # shellcheck disable=SC2046,SC2086  # lists of words
    run 600 "$python" -m pip download --quiet --only-binary :all: --no-deps --implementation cp --python-version "$version" \
        --abi "cp$(echo "$version" | tr -d .)" --abi none --platform any $(printf -- '--platform %s ' $platforms) \
        --dest "$new/wheels/$runtime" flatbuffers "$@" >&2 || no_packages "$runtime's wheels"
}

of_litert='ai-edge-litert>=2.1 tqdm typing-extensions backports.strenum protobuf'
case $suite in
bookworm)
    version=3.11
    fetch tflite tflite-runtime==2.14.0
    # shellcheck disable=SC2086  # a list of words
    [ "$architecture" = armhf ] || fetch litert tflite-runtime==2.14.0 $of_litert 'ml_dtypes<0.6' # for numpy 1
    ;;
trixie)
    version=3.13
    # shellcheck disable=SC2086  # a list of words
    fetch litert $of_litert ml_dtypes
    ;;
esac

say 'making its disk'
systemctl --root="$root" --quiet mask systemd-networkd.service systemd-resolved.service systemd-networkd-wait-online.service
mkdir "$root/payload"
echo '/dev/vdb /payload ext4 defaults 0 0' >"$root/etc/fstab"
add_trial "$root" machine-trial.sh
mv "$root"/boot/vmlinuz-* "$new/vmlinuz"
mv "$root"/boot/initrd.img-* "$new/initrd"
: >"$new/disk"
run 1800 mke2fs -q -t ext4 -d "$root" "$new/disk" 3G

built disk vmlinuz initrd wheels
