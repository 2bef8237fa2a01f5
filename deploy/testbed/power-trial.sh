#!/bin/sh
# Runs in the container that test-power.sh boots, as root; /payload/settings says what is to be done, and what is answered
# goes into files of /payload. "done" on stdout at the end.
set -u

task='' phase='' lines=0 delay_s=0 # to kill install.sh after
# shellcheck source=/dev/null
. /payload/settings
unit=edge-watch.service
opt=/opt/edge-classify
state=/var/lib/private/edge-classify
cache=/var/cache/private/edge-classify
frames=/srv/frames
start_limit_s=120 # to be active or to have failed; usual are 2
after_s=31        # how long the disk is recorded after install.sh has ended

property() { systemctl show --property "$1" --value "$unit"; }

# The version that runs, from the interpreter in its command line.
running() { tr '\0' '\n' <"/proc/$(property MainPID)/cmdline" 2>/dev/null | sed -n "s|^$opt/versions/\([^/]*\)/.*|\1|p" | head -n 1; }
current() { basename "$(readlink "$opt/current")" 2>/dev/null; }

# A picture has been classified by the process that runs: the folder of latest.json goes with each one.
has_classified() { grep -q '"captured_at"' /run/edge-classify/latest.json 2>/dev/null; }
is_settled() {
    case $(property ActiveState)/$(property SubState) in
    active/*) has_classified ;;
    failed/* | inactive/*) true ;;
    *) [ "$(property NRestarts)" -ge 2 ] ;;
    esac
}

last_words() { journalctl --quiet --no-pager --output=cat -n 3 -u "$unit" | tail -n 1 | cut -c -90; }

# whole installed|state FOLDER...: prints what is damaged; nothing where all is whole.
damage() {
    kind=$1
    shift
    for folder; do
        [ ! -d "$folder" ] || python3 -I /payload/power_files.py "$kind" "$folder" || :
    done | grep -v '^whole$' | xargs
}

# verdict: one line: "VERSION works", "not installed yet", "not enabled yet", "not started yet" or "BROKEN" and
# why.
verdict() {
    if [ ! -e "$opt/current" ] && [ ! -L "$opt/current" ]; then
        if [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ]; then echo 'BROKEN: enabled without a version'; else echo 'not installed yet'; fi
        return
    fi
    if [ "$(systemctl is-enabled "$unit" 2>/dev/null)" != enabled ] && [ "$(property ActiveState)" = inactive ]; then
        echo "not enabled yet: $(current) is in place, its unit is $(systemctl is-enabled "$unit" 2>&1 | tail -n 1)"
        return
    fi
    waited=0
    until is_settled || [ "$waited" -ge "$start_limit_s" ]; do
        sleep 1
        waited=$((waited + 1))
    done
    sleep 1
    if [ "$(property ActiveState)/$(property Result)/$(property InvocationID)" = inactive/success/ ]; then
        echo "not started yet: $(current) is in place"
        return
    fi
    if [ "$(property ActiveState)" != active ] || ! has_classified; then
        echo "BROKEN: $(current) is $(property ActiveState) ($(property Result), $(property ExecMainStatus)): $(last_words)"
        return
    fi
    damaged=$(damage installed "$opt/versions/$(running)")
    if [ -n "$damaged" ]; then echo "BROKEN: $(running) runs, $damaged"; else echo "$(running) works"; fi
}

# What is asked of a second run: the version in place is the new one, it runs, and starts again.
verdict_after_second_run() {
    first=$(verdict)
    if [ "$(running)" != "$(current)" ]; then
        echo "BROKEN: $(running) runs, but $(current) is in place"
        return
    fi
    case $first in *works) systemctl restart "$unit" ;; esac
    verdict
}

# While the service runs it may be writing a file.
state_verdict() {
    systemctl stop "$unit"
    damage state "$state" "$cache"
}

# The user's own configuration: results and many pictures are written, and the model has its place.
write_config() {
    mkdir -p /etc/edge-classify
    cat >/etc/edge-classify/watch.toml <<'CONFIG'
source = "/srv/frames"
repeat = true
fps = 5.0
every = 0
model = "/var/lib/edge-classify/models/model.tflite"
[steady]
smoothing = 1.0
frames = 1
hold_s = 0.0
[snapshots]
folder = "/var/lib/edge-classify/snapshots"
max_files = 50
[results]
file = "/var/lib/edge-classify/results.jsonl"
CONFIG
}

# install_phase PHASE: becomes install.sh.
install_phase() {
    cd /payload || exit 1
    case $1 in
    old) set -- old/*.whl --model models/hotdog.tflite ;;
    upgrade) set -- new/*.whl --model models/hotdog-small.tflite ;;
    first)
        set -- new/*.whl
        if grep -q -e '--source' /payload/deploy/install.sh; then set -- "$@" --source "$frames"; fi
        ;;
    esac
    exec deploy/install.sh --offline wheels --wheel "$@"
}

install() { (install_phase "$phase"); }

task_settle() {
    mkdir -p "$frames"
    cp /payload/frames/* "$frames/"
    grep -q -e '--source' /payload/deploy/install.sh || { write_config && sed -i '/^model/d' /etc/edge-classify/watch.toml; }
}

task_old() {
    write_config
    (install_phase old) >&2 && verdict >/payload/after-boot
}

task_record() {
    echo begin >/payload/said
    install >>/payload/said 2>&1
    echo "ended with exit status $?" >>/payload/said
    sleep "$after_s"
    touch /payload/recorded
}

second_run() {
    install >/payload/second-said 2>&1
    echo "$?" >/payload/second
    cat /payload/second-said >&2
    verdict_after_second_run >/payload/after-second
    state_verdict >/payload/state
}

task_judge() {
    verdict >/payload/after-boot
    journalctl --quiet --no-pager --output=short-monotonic -n 10 -u "$unit" >&2
    second_run
}

num_said() { wc -l </payload/said; }
now_cs() { awk -v later_s="${1-0}" '{ printf "%d\n", ($1 + later_s) * 100 }' /proc/uptime; }

# Kills it delay_s after it has printed this many lines, or at the next line: machines differ in speed.
task_kill() {
    echo begin >/payload/said
    setsid "$0" install-phase "$phase" >>/payload/said 2>&1 &
    group=$!
    while [ "$(num_said)" -lt "$lines" ] && kill -0 "$group" 2>/dev/null; do sleep 0.02; done
    until_cs=$(now_cs "$delay_s")
    while [ "$(now_cs)" -lt "$until_cs" ] && [ "$(num_said)" -le "$lines" ]; do sleep 0.02; done
    kill -s KILL -- "-$group" || echo 'it had ended before' >/payload/not-killed
    wait "$group"
    sleep 1
    verdict >/payload/after-boot
    second_run
}

if [ "${1-}" = install-phase ]; then install_phase "$2"; fi
task_"$task"
echo 'done'
