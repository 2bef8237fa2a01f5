#!/bin/sh
# Does unmodified picamera2 give us frames? test-camera.sh [FOLDER]
# On an emulated machine with Debian trixie, its kernel's vimc driver in place of a camera, frames are classified by the shipped
# model, and the pattern's colours are checked; then a camera that is busy, one without rights, and none.
# FOLDER, if given, is filled with what the machine answered, its pictures among it.
# Run as root; PYTHON names an interpreter with pip. The first time it builds the machine, which takes some minutes.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=needs.sh
. "$here/needs.sh"

limit=3600 # seconds for the machine from power on to off; usual is a few minutes

check_prerequisites() {
    need_root 'unpacking a root takes its privileges'
    need_x86_64 'emulates x86-64'
    need_debian
    need_command qemu-system-x86_64 '--no-install-recommends qemu-system-x86'
    need_command mke2fs e2fsprogs
    need_pip
    need_checkout
    nothing_is_missing
}

remove_work() { rm -rf --one-file-system "$work"; }

check_prerequisites || exit 1
work=$(mktemp -d)
on_end remove_work

PYTHON=$python run 10800 "$here/camera-machine.sh" >"$work/cache"
cache=$(cat "$work/cache")

say 'building the wheel'
project=$work/project
mkdir "$project"
run 300 "$python" -m pip wheel --quiet --no-deps -w "$work/wheel" . >&2
run 300 "$python" -m pip install --quiet --no-deps --no-compile --target "$project/site" "$work"/wheel/*.whl >&2
cp "$project/site/edge/models/hotdog-small.tflite" "$project/model.tflite"
cp "$here/camera_frames.py" "$here/webcam_frames.py" "$project/"
install -m 755 "$here/camera-run.sh" "$project/run"
: >"$work/disk"
run 60 mke2fs -q -t ext4 -d "$project" "$work/disk" 256M

say 'starting the machine'
# Never KVM: nested, it is not to be relied on. The cached disk stays as it is; what the machine writes on it is dropped.
ended=0
run "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 \
    -nographic -no-reboot -nodefaults -monitor none -serial stdio \
    -kernel "$cache/vmlinuz" -initrd "$cache/initrd" \
    -append 'root=/dev/vda rw console=ttyS0 quiet panic=-1 init=/usr/local/sbin/camera-init' \
    -drive file="$cache/disk",if=virtio,format=raw,snapshot=on \
    -drive file="$work/disk",if=virtio,format=raw \
    -object rng-random,id=random,filename=/dev/urandom -device virtio-rng-pci,rng=random \
    </dev/null >"$work/console" 2>&1 || ended=$?
[ "$ended" = 0 ] || say "the machine did not end by itself (exit status $ended)"
grep -a '^camera-run: ' "$work/console" >&2 || tail -n 20 "$work/console" >&2

answers=${1:-$work/answers}
mkdir -p "$answers"
debugfs -R "rdump / $answers" "$work/disk" 2>"$work/debugfs"
cp "$work/console" "$answers/"
run 60 "$python" "$here/camera_answers.py" "$answers"
