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
