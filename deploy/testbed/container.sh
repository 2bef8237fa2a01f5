# shellcheck shell=sh
# Sourced by the scripts beside it that boot a container: what is tried in one runs as a unit of its systemd.

# add_trial ROOT SCRIPT: once the container has booted, /payload/SCRIPT runs, and the container ends with it.
add_trial() {
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

# own_cgroup, at the start of a script, and leave_cgroup at its end: two containers in one control group end each other's
# edge-watch. With a systemd of its own a machine gives each login another group already.
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
