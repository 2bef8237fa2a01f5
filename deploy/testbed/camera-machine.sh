#!/bin/sh
# Builds the machine that the camera is tried in, once, and prints the folder that holds it:
#   disk     a root file system: Debian trixie with its kernel and libcamera, the vimc driver, unmodified picamera2, and a runtime
#   vmlinuz  its kernel
#   initrd   and what that begins with
# vimc is the kernel's camera without a camera. Debian leaves it out, so it is built from Debian's source of the same kernel.
# Takes PYTHON (its pip fetches the wheels) and EDGE_TESTBED_CACHE from the environment. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$here/build.sh"

build_in "$cache/camera" 6000 "$0" "$here/camera-init.sh" "$here/pykms.py"
root=$new/root

# What picamera2 imports, as far as Debian has it; then what builds a driver and a wheel.
packages=python3-numpy,python3-pil,python3-libcamera,libcamera-ipa,python3-prctl,python3-jsonschema,python3-tqdm
packages=$packages,udev,kmod,linux-image-amd64
packages=$packages,linux-headers-amd64,gcc,make,libc6-dev,python3-dev,python3-pip,python3-setuptools,python3-wheel,xz-utils

# An initrd of three modules is made and unpacked in a fraction of the time of the usual one.
small_initrd() {
    cat <<'END'
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=gzip\n' >"$1/etc/initramfs-tools/conf.d/small"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$1/etc/initramfs-tools/modules"
END
}

say 'building trixie with a kernel (some minutes)'
# shellcheck disable=SC2016  # mmdebstrap's shell fills it in
unpack 3600 trixie "$root" --variant=apt --architectures=amd64 --include="$packages" \
    --essential-hook="$(small_initrd)" \
    --customize-hook='chroot "$1" sh -c "cd /root && apt-get download -qq -o APT::Sandbox::User=root linux-source-6.12"'

kernel=$(ls "$root/usr/lib/modules")

say "building vimc for $kernel"
dpkg-deb --fsys-tarfile "$root"/root/linux-source-*.deb | tar -xO --wildcards '*/linux-source-*.tar.xz' |
    tar -xJ -C "$root/root" --strip-components=4 --wildcards '*/drivers/media/test-drivers/vimc'
run 1800 chroot "$root" make -s -C "/usr/src/linux-headers-$kernel" M=/root/vimc CONFIG_VIDEO_VIMC=m modules >&2
mkdir "$root/usr/lib/modules/$kernel/extra"
cp "$root/root/vimc/vimc.ko" "$root/usr/lib/modules/$kernel/extra/"
run 1800 chroot "$root" depmod "$kernel"

say 'fetching picamera2 and the runtime'
fetch() {
    run 1800 "$python" -m pip download --quiet --no-deps --python-version 3.13 --implementation cp --abi cp313 --abi none \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --platform any \
        --dest "$root/root/wheels" "$@" >&2
}
fetch --only-binary :all: picamera2==0.3.38 simplejpeg piexif videodev2 'ai-edge-litert>=2.1' flatbuffers
fetch --no-binary :all: pidng
# shellcheck disable=SC2016  # expanded within
run 1800 chroot "$root" sh -c 'python3 -m pip install --quiet --no-index --no-deps --no-build-isolation --no-warn-script-location \
    --root-user-action ignore --target /opt/site /root/wheels/*' >&2
cp "$here/pykms.py" "$root/opt/site/"
install -m 755 "$here/camera-init.sh" "$root/usr/local/sbin/camera-init"

say 'making its disk'
run 1800 chroot "$root" env PYTHONPATH=/opt/site python3 -m compileall -q /opt/site >&2 || :
mv "$root/boot/vmlinuz-$kernel" "$new/vmlinuz"
mv "$root/boot/initrd.img-$kernel" "$new/initrd"
rm -rf "${root:?}"/root/* "$root"/usr/src/* "$root"/usr/lib/gcc "$root"/var/lib/apt/lists/*
: >"$new/disk"
run 1800 mke2fs -q -t ext4 -d "$root" "$new/disk" 3G

built disk vmlinuz initrd
