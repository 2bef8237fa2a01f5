#!/bin/sh
# Does the service install, run and go on an ARM machine? arm-service.sh WHEEL SUITE ARCHITECTURE EMULATOR
# An emulated machine with Debian of that suite for that architecture starts its own kernel and systemd; install.sh is run
# in it without a network. One line a check; what is tried is in arm-trial.sh.
# Run as root by test-arm.sh, which says what must be installed; PYTHON names an interpreter with the project installed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"

python=${PYTHON:-python3}
wheel=$1 suite=$2 architecture=$3 emulator=$4
limit=1800 # seconds for the machine from power on to off; usual is a few minutes

say() { echo "arm-service: $suite $architecture: $*" >&2; }
remove_work() { rm -rf --one-file-system "$work"; }

work=$(mktemp -d)
on_end remove_work
answers=$work/answers

PYTHON=$python run 5400 "$here/arm-machine.sh" "$suite" "$architecture" "$emulator" >"$work/cache"
cache=$(cat "$work/cache")

payload=$work/payload
mkdir -p "$payload/wheel" "$answers"
cp -r deploy "$cache/wheels" "$payload/"
cp -- "$wheel" "$payload/wheel/"
cp -- models/hotdog-small.tflite "$payload/"
install -m 755 "$here/arm-trial.sh" "$payload/"
run 300 "$python" "$here/pictures.py" "$payload/frames" --photo tests/data/hotdog.jpg >&2
: >"$work/disk"
run 60 mke2fs -q -t ext4 -d "$payload" "$work/disk" 512M

case $architecture in
arm64) machine='qemu-system-aarch64 -machine virt -cpu cortex-a72' ;;
# Without highmem: Debian's usual kernel for armhf has no 40-bit addresses.
armhf) machine='qemu-system-arm -machine virt,highmem=off -cpu cortex-a15' ;;
esac
say "starting a machine (at most $limit s)"
# One processor: a second costs more to emulate than it brings. Never KVM, which is of another kind of processor. The cached
# disk stays as it is; what is written on it is dropped.
ended=0
# shellcheck disable=SC2086  # a list of words
run "$limit" $machine -accel tcg -m 2048 \
    -nographic -no-reboot -nodefaults -monitor none -serial stdio \
    -kernel "$cache/vmlinuz" -initrd "$cache/initrd" -append "root=/dev/vda rw console=ttyAMA0 quiet panic=-1" \
    -drive file="$cache/disk",if=virtio,format=raw,snapshot=on \
    -drive file="$work/disk",if=virtio,format=raw \
    -object rng-random,id=random,filename=/dev/urandom -device virtio-rng-pci,rng=random \
    </dev/null >"$answers/console" 2>&1 || ended=$?

for file in answers trial.log; do debugfs -R "dump /$file $answers/$file" "$work/disk" 2>/dev/null || :; done
sed "s/^/$suite $architecture: /" "$answers/answers"
if ! grep -q '^done' "$answers/answers" || grep -q '^FAIL' "$answers/answers"; then
    tail -n 40 "$answers/trial.log" >&2 || tail -n 20 "$answers/console" >&2
    say "failed (exit status of the machine $ended)"
    exit 1
fi
