# shellcheck shell=sh disable=SC2154,SC2034
# Sourced, after stoppable.sh and needs.sh, by the scripts beside it that boot a container.

# begin FUNCTION: makes the folders $work and $payload, and a control group of its own; at the end, however it comes, the
# function is called, and all of that is removed.
begin() {
    before_removal=$1
    work=$(mktemp -d)
    payload=$work/payload
    mkdir "$payload"
    on_end remove_all
    own_cgroup
}

# shellcheck disable=SC2317  # called by a trap
remove_all() {
    "$before_removal"
    leave_cgroup
    rm -rf --one-file-system "$work"
}

# fill_payload: what each trial needs as /payload: the scripts, the shipped models, frames, and in new/ this checkout's wheel.
fill_payload() {
    mkdir -p "$payload/frames" "$payload/models"
    cp -r deploy "$payload/"
    cp -- models/*.tflite "$payload/models/"
    say 'building the wheel'
    run 300 "$python" -m pip wheel --quiet --no-deps --wheel-dir "$payload/new" . >&2
    draw_frames
}

draw_frames() { run 60 "$python" "$here/pictures.py" "$payload/frames" --photo tests/data/hotdog.jpg >&2; }

# other_version VERSION FAULT [FOLDER]: the wheel again under that version, with that fault (see broken_wheel.py).
other_version() { run 60 "$python" "$here/broken_wheel.py" "$payload"/new/*.whl "${3:-$payload}" "$1" "$2" >&2; }

# add_trial ROOT SCRIPT: once the container has booted, /payload/SCRIPT runs, and the container ends with it.
add_trial() {
    mkdir -p "$1/payload"
    cat >"$1/etc/systemd/system/edge-trial.service" <<END
[Unit]
Description=the trial
After=multi-user.target
SuccessAction=poweroff
FailureAction=poweroff

[Service]
Type=oneshot
ExecStart=/payload/$2
StandardOutput=file:/payload/answers
StandardError=append:/payload/trial.log

[Install]
WantedBy=default.target
END
    systemctl --root="$1" --quiet enable edge-trial.service
}

# boot_container SECONDS ROOT OPTIONS...: until its trial has ended. Its console is in $work/console, its exit status in
# $ended, what the trial answered and wrote in answers and trial.log of $payload.
boot_container() {
    boot_limit_s=$1 booted=$2
    shift 2
    : >"$payload/answers"
    : >"$payload/trial.log"
    ended=0
    run "$boot_limit_s" systemd-nspawn --quiet --boot --directory="$booted" --register=no --keep-unit \
        --bind="$payload:/payload" "$@" </dev/null >"$work/console" 2>&1 || ended=$?
}

# try_container NAME SECONDS ROOT OPTIONS...: boots it, and shows its answers.
try_container() {
    container=$1
    shift
    say "booting $container (at most $1 s)"
    boot_container "$@"
    show_answers "$container"
}

# show_answers NAME: of a trial that has ended, a line each; false where one failed, or the trial did not come to its end.
show_answers() {
    [ -e "$payload/answers" ] || : >"$payload/answers"
    sed "s/^/$1: /" "$payload/answers"
    if grep -q '^done' "$payload/answers" && ! grep -q '^FAIL' "$payload/answers"; then return 0; fi
    if [ -s "$payload/trial.log" ]; then cat "$payload/trial.log"; else tail -n 20 "$work/console"; fi >&2
    say "$1: failed (exit status $ended)"
    return 1
}

# own_cgroup, and leave_cgroup at the end: two containers in one control group end each other's edge-watch. With a systemd of
# its own a machine gives each login another group already.
own_cgroup() {
    [ ! -d /run/systemd/system ] || return 0
    for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
        [ -w "$hierarchy/cgroup.procs" ] || continue
        mkdir -p "$hierarchy/testbed-$$"
        echo $$ >"$hierarchy/testbed-$$/cgroup.procs"
    done
}

leave_cgroup() {
    for group in /sys/fs/cgroup/"testbed-$$" /sys/fs/cgroup/*/"testbed-$$"; do
        [ -d "$group" ] || continue
        echo $$ >"${group%/*}/cgroup.procs"
        find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || : # of the container's own services
    done
}
