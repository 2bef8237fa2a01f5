# shellcheck shell=sh disable=SC2034,SC2154
# Sourced, after stoppable.sh and container.sh, by the scripts beside it that start an emulated ARM machine.

# build_machine SUITE ARCHITECTURE EMULATOR: once; the folder that holds it becomes $machine_cache.
build_machine() {
    built_suite=$1 built_architecture=$2
    PYTHON=$python run 5400 "$here/arm-machine.sh" "$@" >"$work/machine"
    machine_cache=$(cat "$work/machine")
}

# boot_machine SECONDS: starts what was built last with $payload as its /payload, where machine-trial.sh runs; until that has
# ended. What it answered and wrote is then in answers and trial.log of $payload, its console in $work/console, its exit status
# in $ended.
boot_machine() {
    : >"$work/disk"
    run 120 mke2fs -q -t ext4 -d "$payload" "$work/disk" 1G
    case $built_architecture in
    arm64) machine='qemu-system-aarch64 -machine virt -cpu cortex-a72' ;;
    # Without highmem: Debian's usual kernel for armhf has no 40-bit addresses.
    armhf) machine='qemu-system-arm -machine virt,highmem=off -cpu cortex-a15' ;;
    esac
    say "starting a machine, $built_suite for $built_architecture (at most $1 s)"
    # One processor: a second costs more to emulate than it brings. Never KVM, which is of another kind of processor. The
    # cached disk stays as it is; what is written on it is dropped.
    ended=0
    # shellcheck disable=SC2086  # a list of words
    run "$1" $machine -accel tcg -m 2048 \
        -nographic -no-reboot -nodefaults -monitor none -serial stdio \
        -kernel "$machine_cache/vmlinuz" -initrd "$machine_cache/initrd" -append "root=/dev/vda rw console=ttyAMA0 quiet panic=-1" \
        -drive file="$machine_cache/disk",if=virtio,format=raw,snapshot=on \
        -drive file="$work/disk",if=virtio,format=raw \
        -object rng-random,id=random,filename=/dev/urandom -device virtio-rng-pci,rng=random \
        </dev/null >"$work/console" 2>&1 || ended=$?
    for file in answers trial.log; do
        rm -f "$payload/$file"
        debugfs -R "dump /$file $payload/$file" "$work/disk" 2>/dev/null || :
    done
}
