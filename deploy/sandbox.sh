# shellcheck shell=sh disable=SC2034,SC2154
# Sourced by install.sh: a new version is checked as it will run. As root it would see home folders, write anywhere and find
# root's own packages; so it is a passing unit with all the properties of the one that is to be put.
# Takes work, model, new_unit, no_service and dry_run from there.

check_unit=edge-watch-check.service
check_folder=/run/systemd/system
check_limit_s=300

# check_version FOLDER: with what it will run with: the configuration, and the new model before it lies in place.
check_version() {
    step "checking it" || return 0
    checked=$work/watch.toml
    if cmp -s -- "$checked" "$config"; then checked=$config; fi
    set -- "$1/bin/edge-watch" --check --config "$checked"
    if [ -n "$model" ]; then
        cp -- "$model" "$work/model.tflite" # where the unit sees it
        set -- "$@" --model "$work/model.tflite"
    fi
    if [ -n "$no_service" ]; then
        timeout "$check_limit_s" "$@" >&2 </dev/null && tune "${1%/*}" && return
    else
        in_sandbox "$@" && tune "${1%/*}" && return
    fi
    [ ! -e "$config" ] || [ $((0$(stat -L -c %a "$config") & 4)) != 0 ] ||
        say "$config: the service, another user than root, cannot read it; sudo chmod o+r $config"
    last=$(in_place)
    fail "${target##*/} did not pass its check, see above; ${last:-nothing} stays in place"
}

# tune BIN: which runtime and how many threads are fastest here, for all commands and the service, once for each model.
tune() {
    set -- "$1/edge-benchmark" --tune --config "$checked"
    if [ -n "$model" ]; then set -- "$@" "$work/model.tflite"; fi
    timeout "$check_limit_s" "$@" >&2 </dev/null || say 'which runtime is fastest could not be measured, see above; going on'
}

# in_sandbox COMMAND...: runs it within the properties of the unit; its output is shown.
in_sandbox() {
    write_check_unit "$@"
    systemctl daemon-reload
    status=0
    systemctl start "$check_unit" >/dev/null 2>&1 || status=$?
    cat "$work/check.log" >&2 2>/dev/null || :
    [ "$status" = 0 ] || explain_check
    remove_check_unit
    return "$status"
}

write_check_unit() {
    remove_check_unit # of a run that was killed
    mkdir -p "$check_folder/$check_unit.d"
    cp -- "$new_unit" "$check_folder/$check_unit"
    for file in "$dropins"/*.conf; do
        if [ -e "$file" ] && ! is_ours "${file##*/}"; then cp -- "$file" "$check_folder/$check_unit.d/"; fi
    done
    for file in "$work"/dropins/*.conf; do
        if [ -e "$file" ]; then cp -- "$file" "$check_folder/$check_unit.d/"; fi
    done
    # Of the service's own user, to whom the state folder belongs while it runs; its runtime folder is not to be removed.
    cat >"$check_folder/$check_unit.d/zz-check.conf" <<END
[Service]
Type=oneshot
NotifyAccess=none
Restart=no
WatchdogSec=0
TimeoutStartSec=$check_limit_s
RuntimeDirectory=
ExecStartPre=
ExecStartPost=
ExecStart=
ExecStart=$*
StandardOutput=truncate:$work/check.log
StandardError=truncate:$work/check.log
END
    grep -qs '^User=' "$check_folder/$check_unit" "$check_folder/$check_unit.d"/*.conf || echo "User=${unit_name%.service}" >>"$check_folder/$check_unit.d/zz-check.conf"
}

is_ours() { case " $our_dropins " in *" $1 "*) ;; *) false ;; esac }

# Where systemd itself could not start it, the journal knows why.
explain_check() {
    if [ -s "$work/check.log" ]; then return 0; fi
    journalctl --quiet --no-pager --output=cat --since '-1min' --unit "$check_unit" | tail -n 3 >&2
}

remove_check_unit() {
    if [ ! -e "$check_folder/$check_unit" ]; then return 0; fi
    systemctl stop "$check_unit" 2>/dev/null || :
    rm -f -- "$check_folder/$check_unit" "$check_folder/$check_unit.d"/*.conf
    rmdir -- "$check_folder/$check_unit.d" 2>/dev/null || :
    systemctl daemon-reload
    systemctl reset-failed "$check_unit" 2>/dev/null || :
}
