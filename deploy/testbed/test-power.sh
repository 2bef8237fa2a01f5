#!/bin/sh
# Does a power cut, or a kill -9 of install.sh, leave a device that works? test-power.sh [cut] [kill] [first] [upgrade]
# A Debian bookworm lies on an ext4 disk and boots in a container without a network. "cut": while install.sh runs in it, and
# half a minute longer, the disk is cloned without what is not synced yet (see disk.sh); clones are then booted, looked at,
# and install.sh is run again. "kill": install.sh and all that it started is killed, looked at, and run again. "first": in a
# first installation; "upgrade": in an upgrade. One line a moment, and a sum for each. All of it, where nothing is named.
# Run as root, from the root of the repository; PYTHON names an interpreter whose pip builds the wheel. MOMENTS is how many
# cuts and how many kills, half of them in each phase, 40 where it is not set: an hour and a half.
# shellcheck disable=SC2317  # what is tried is called by its kind's name
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=needs.sh
. "$here/needs.sh"
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$here/container.sh"
# shellcheck source-path=SCRIPTDIR source=disk.sh
. "$here/disk.sh"

moments=${MOMENTS:-40}
limit=400 # seconds a boot may take with all that is done in it; usual is a tenth
tick_cs=50

check_prerequisites() {
    need_containers
    need_x86_64 'boots an x86-64 system'
    need_pip
    need_command mkfs.xfs xfsprogs
    [ -e /dev/loop-control ] || need '/dev/loop-control: not found; the kernel must have loop devices (modprobe loop)'
    case $moments in '' | *[!0-9]*) need "MOMENTS: must be a number. Received: $moments" ;; esac
    nothing_is_missing
}

# What the container sees as /payload.
make_payload() {
    fill_payload
    cp -r "$cache/wheels" "$payload/"
    mkdir "$payload/old"
    other_version 0.0.1 none "$payload/old"
    cp -- "$here/power-trial.sh" "$here/power_files.py" "$payload/"
}

# What a first installation begins with: a card that has booted once.
make_bare() {
    make_disk bare
    attach bare
    cp -a -- "$cache/root/." "$mounted/"
    add_trial "$mounted" power-trial.sh
    detach
    boot bare settle first
}

# And an upgrade: one on which the old version has been installed.
make_installed() {
    clone bare installed
    boot installed old upgrade
    grep -q works "$payload/after-boot" || {
        cat "$payload/trial.log" "$payload/after-boot" >&2
        say 'the old version does not work; nothing can be tried'
        exit 1
    }
}

# boot DISK TASK PHASE [SETTINGS]: the container runs the task in power-trial.sh, and ends.
boot() {
    rm -f "$payload/said" "$payload/recorded" "$payload/after-boot" "$payload/second" "$payload/after-second" "$payload/state" "$payload/not-killed"
    printf "task='%s' phase='%s' %s\n" "$2" "$3" "${4-}" >"$payload/settings"
    attach "$1"
    boot_container "$limit" "$mounted" --private-network
    detach
    grep -q '^done' "$payload/answers" || say "$2, $3: the container ended early (exit status $ended)"
}

now_cs() { awk '{ printf "%d\n", $1 * 100 }' /proc/uptime; }
num_said() { wc -l <"$payload/said"; }

# cut WHY: clones the disk, with a line in the index (see power_moments.py).
cut_power() {
    num_cuts=$((num_cuts + 1))
    clone "$recorded" "$recorded-$num_cuts"
    at_cs=$(($(now_cs) - begin_cs))
    printf '%s\t%d.%02d\t%s\t%s\t%s\n' "$recorded-$num_cuts" $((at_cs / 100)) $((at_cs % 100)) "$1" "$seen" \
        "$(tail -n 1 "$payload/said" | sed 's/^install.sh: //' | tr '\t' ' ' | cut -c -60)" >>"$index"
}

# watch_disk: clones it every half second, and whenever install.sh says something, until half a minute after its end.
watch_disk() {
    while [ ! -e "$payload/said" ]; do sleep 0.05; done
    begin_cs=$(now_cs) next_cs=0 seen=1 num_cuts=0
    while [ ! -e "$payload/recorded" ]; do
        now=$(now_cs)
        if [ "$(num_said)" -gt "$seen" ]; then
            seen=$(num_said)
            if tail -n 1 "$payload/said" | grep -q '^ended '; then cut_power end; else cut_power line; fi
        elif [ "$now" -ge "$next_cs" ]; then
            cut_power tick
            next_cs=$((now + tick_cs))
        fi
        sleep 0.02
    done
}

# record PHASE DISK: one undisturbed run, of which everything else is a moment.
record() {
    recorded=$1 index=$work/$1.index
    clone "$2" "$recorded"
    say "recording a run of install.sh: $1"
    rm -f "$payload/said" "$payload/recorded"
    watch_disk &
    watcher=$!
    boot "$recorded" record "$1"
    touch "$payload/recorded"
    wait "$watcher"
    watcher=''
    grep -q '^ended with exit status 0' "$payload/said" || {
        cat "$payload/said" "$payload/trial.log" >&2
        say "$1: install.sh fails undisturbed; nothing can be tried"
        exit 1
    }
}

answer() { cat "$payload/$1" 2>/dev/null || echo 'no answer'; }

# judge KIND PHASE SECONDS LINE: a row of the table.
judge() {
    after_boot=$(answer after-boot) second=$(answer second) after_second=$(answer after-second) state=$(answer state)
    held=ok
    case $2/$4/$after_boot in
    */*works) ;;
    first/*' is active'* | first/ended*) held=FAIL ;; # install.sh has said that it is done
    first/*/'not '*) ;;
    *) held=FAIL ;;
    esac
    case $second/$after_second in 0/*works) ;; *) held=FAIL ;; esac
    [ -z "$state" ] && [ ! -e "$payload/not-killed" ] || held=FAIL
    printf '%-4s %2d %-4s %-7s %6s s  %-48s | %s | second run: %s, %s | %s\n' "$held" "$number" "$1" "$2" "$3" "$4" \
        "$after_boot" "$second" "$after_second" "${state:-state whole}$(sed 's/^/, /' "$payload/not-killed" 2>/dev/null)" |
        tee -a "$work/table"
    [ "$held" = ok ] || cat "$payload/trial.log" >&2
}

# try_moments KIND PHASE DISK COUNT: a row each in the table.
try_moments() {
    "$python" "$here/power_moments.py" "$1s" "$4" "$index" >"$work/moments"
    while read -r moment <&3; do
        number=$((number + 1))
        "try_$1" "$2" "$3"
    done 3<"$work/moments"
}

# field NUMBER: of the moment.
field() { echo "$moment" | cut -f "$1"; }

try_cut() {
    disk=$(field 1)
    boot "$disk" judge "$1"
    judge cut "$1" "$(field 2)" "$(field 5)"
    rm "$store/$disk"
}

try_kill() {
    clone "$2" killed
    boot killed kill "$1" "lines=$(field 1) delay_s=$(field 2)"
    judge kill "$1" "+$(field 2)" "$(field 3)"
    rm "$store/killed"
}

# sum KIND PHASE: of the table.
sum() {
    held=$(grep -c "^ok .* $1 *$2 " "$work/table" || :)
    tried=$(grep -c "^[a-zA-Z]* .* $1 *$2 " "$work/table" || :)
    echo "$1, $2: $held of $tried"
    [ "$held" = "$tried" ] || failed=1
}

stop_watching() {
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || :
    remove_store
}

kinds='' phases=''
for word; do
    case $word in
    cut | kill) kinds="$kinds $word" ;;
    first | upgrade) phases="$phases $word" ;;
    *) say "unknown: $word; cut or kill, first or upgrade, or nothing for all" && exit 2 ;;
    esac
done
watcher='' failed=0 number=0
check_prerequisites || exit 1
begin stop_watching

PYTHON=$python run 1800 "$here/service-root.sh" >"$work/cache"
cache=$(cat "$work/cache")
make_store
lost=$(loses_unsynced) || {
    say "a clone must have what was synced and nothing else, $lost; nothing can be tried here"
    exit 1
}
echo "ok   a cut takes with it what was not synced, and nothing else"
make_payload
make_bare
: >"$work/table"
try_phase() {
    case $1 in
    first) from=bare count=$((moments / 2)) ;;
    upgrade) from=installed count=$((moments - moments / 2)) && make_installed ;;
    esac
    record "$1" "$from"
    for kind in ${kinds:-cut kill}; do try_moments "$kind" "$1" "$from" "$count"; done
    rm -f "$store/$1" "$store/$1"-*
}
for phase in ${phases:-first upgrade}; do try_phase "$phase"; done
for kind in ${kinds:-cut kill}; do
    for phase in ${phases:-first upgrade}; do sum "$kind" "$phase"; done
done
exit "$failed"
