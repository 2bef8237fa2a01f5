# shellcheck shell=sh disable=SC2034,SC2154
# Sourced by install.sh: from the first change of what is in place to a service that works, and back.
#
# What was in place is kept in $pending before the first change, and stays there until the service works: a run that was cut
# short is finished, or undone, by the next. After an upgrade it becomes $previous.

ready_limit_s=90 # a model is loaded and a frame is classified in far less, even on a Pi Zero 2

property() { systemctl show --property "$1" --value "$unit_name"; }

service_is() { [ -z "$no_service" ] && systemctl --quiet "$1" "$unit_name" 2>/dev/null; }

# change WHAT: as step, for what the service must be restarted for.
change() {
    changed=yes
    step "$*" || return 1
    keep_last
}

# kept_files: what a version is made of besides its folder.
kept_files() {
    echo "$config"
    echo "$unit"
    echo "$model_place"
    for name in $our_dropins; do echo "$dropins/$name"; done
}

keep_last() {
    if [ -d "$pending" ] || [ -n "$instance" ]; then return 0; fi
    rm -rf -- "$pending.new"
    mkdir -p "$record" "$pending.new"
    cp -r -- "$record" "$pending.new/record"
    in_place >"$pending.new/link"
    if service_is is-active; then echo yes >"$pending.new/was-active"; fi
    kept_files | while IFS= read -r file; do
        if [ -e "$file" ] && ! [ -L "$file" ]; then cp -p -- "$file" "$pending.new/"; fi
    done
    sync -f "$opt"
    mv -- "$pending.new" "$pending"
}

# restore FOLDER: what is kept there, but for the version.
restore() {
    kept_files | while IFS= read -r file; do
        if [ -e "$1/${file##*/}" ]; then
            put "$1/${file##*/}" "$file"
            chmod --reference="$1/${file##*/}" -- "$file"
        elif [ ! -L "$file" ]; then
            rm -f -- "$file"
        fi
    done
    rmdir -- "$dropins" 2>/dev/null || :
    rm -rf -- "$record.new"
    cp -r -- "$1/record" "$record.new"
    rm -rf -- "$record.new/instances"
    for name in apt groups instances; do # what was brought since is there still
        [ ! -e "$record/$name" ] || cp -r -- "$record/$name" "$record.new/"
    done
    sync -f "$record.new"
    rm -rf -- "$record"
    mv -- "$record.new" "$record"
}

# switch_link versions/NAME: in one step, after all that it leads to has reached the disk: a cut of power may not leave a
# link to empty files.
switch_link() {
    if [ "$(in_place)" = "$1" ]; then return 0; fi
    change "switching $opt/current to ${1##*/}" || return 0
    for folder in "$opt" "${config%/*}" "${unit%/*}" "$state"; do [ ! -e "$folder" ] || sync -f "$folder"; done
    ln -sfn -- "$1" "$opt/current.new"
    mv -T -- "$opt/current.new" "$opt/current"
    sync -f "$opt"
}

# The version whose Python is the service's process, such as versions/0.2.0-1a2b3c4d; empty where it does not run.
running() {
    systemd_runs || return 0
    main=$(property MainPID)
    if [ "${main:-0}" = 0 ]; then return 0; fi
    tr '\0' '\n' <"/proc/$main/cmdline" 2>/dev/null | sed -n "1s|^$opt/\(versions/[^/]*\)/.*|\1|p"
}

# is_in_use versions/NAME: it runs, is in place, last worked, or is what may be gone back to.
is_in_use() {
    for used in "$(in_place)" "$(running)" "$(recorded worked)" "$(cat "$previous/link" 2>/dev/null)" "$(cat "$pending/link" 2>/dev/null)"; do
        [ "$used" != "$1" ] || return 0
    done
    return 1
}

# Starts it, and waits until systemd calls it ready. A service that waits for its camera is ready too, and reports it.
start() {
    systemctl daemon-reload
    systemctl reset-failed "$unit_name" 2>/dev/null || :
    since=$(date '+%Y-%m-%d %H:%M:%S')
    before=$(property InvocationID)
    systemctl restart --no-block "$unit_name" # one job: if this script is killed between two, nothing would run
    waited=0
    while [ "$waited" -lt "$ready_limit_s" ]; do
        case $(property InvocationID)/$(property ActiveState)/$(property SubState) in
        "$before"/*) ;; # the one that is to be replaced
        */active/*) return 0 ;;
        */failed/* | */auto-restart) break ;;
        esac
        sleep 1
        waited=$((waited + 1))
    done
    ended=$(property Result)/$(property ExecMainStatus) # before systemd restarts it
    show_why >&2
    return 1
}

# What the service itself has logged since then; else what systemd logged about it.
show_why() {
    why=$(journalctl --quiet --no-pager --output=cat --since "$since" _SYSTEMD_UNIT="$unit_name" | tail -n 5)
    [ -n "$why" ] || why=$(journalctl --quiet --no-pager --output=cat --since "$since" --unit "$unit_name" | tail -n 5)
    echo "$why"
}

# What the user has switched off stays off.
is_wanted() {
    if [ -n "$no_service" ]; then return 1; fi
    if is_masked; then say "$unit_name is masked, and remains masked"; return 1; fi
    if [ -n "$first" ] || service_is is-enabled || service_is is-active; then return 0; fi
    say "$unit_name is disabled, and remains disabled; sudo systemctl enable --now edge-watch starts it"
    return 1
}

start_or_go_back() {
    if [ -z "$changed" ] && [ ! -d "$pending" ] && { [ -n "$no_service" ] || [ "$(running)" = "$(in_place)" ]; }; then
        say 'nothing to do: this version is installed'
        return
    fi
    if ! is_wanted; then
        [ -n "$dry_run" ] || [ -n "$no_service" ] || systemctl daemon-reload
        [ -n "$no_service" ] || start_instances || say 'an instance did not start, see above'
        settle
        return
    fi
    step 'starting it' || return 0
    [ -z "$first" ] || systemctl --quiet enable "$unit_name"
    if start && start_instances; then
        in_place >"$record/worked"
        settle
    elif [ -e "$pending/was-active" ]; then
        undo
    elif [ "$ended" = exit-code/1 ]; then
        settle
        say 'it cannot work yet, see above; systemd restarts it every 10 seconds (a folder instead of a camera: --source DIR)'
    else
        fail 'it did not start, see above, or journalctl -u edge-watch'
    fi
}

# Nothing that the new version could report of its source is worth a service that worked until now.
undo() {
    back=$(cat "$pending/link")
    say "it did not start, see above; going back to ${back##*/}"
    restore "$pending"
    switch_link "$back"
    start || fail 'the last version did not start either; see journalctl -u edge-watch'
    start_instances || say 'an instance did not start, see above'
    rm -rf -- "$pending"
    fail "${back##*/} runs again; see journalctl -u edge-watch for the fault of the new one"
}

# What was in place before an upgrade, of the version or of the model, is what --back goes back to.
settle() {
    if [ -n "$dry_run" ] || [ ! -d "$pending" ]; then return 0; fi
    if [ -s "$pending/link" ] && is_whole "$opt/$(cat "$pending/link")" && { [ "$(cat "$pending/link")" != "$(in_place)" ] || ! same_model; }; then
        rm -rf -- "$previous.old"
        [ ! -d "$previous" ] || mv -- "$previous" "$previous.old"
        mv -- "$pending" "$previous"
    fi
    rm -rf -- "$previous.old" "$pending"
    sync -f "$opt"
}

same_model() {
    if [ -e "$model_place" ]; then cmp -s -- "$pending/${model_place##*/}" "$model_place"; else [ ! -e "$pending/${model_place##*/}" ]; fi
}

# go_back: what --back does. What was in place becomes the previous version, so that a second time leads forward again. An
# installation that was cut short is undone.
go_back() {
    if [ -s "$pending/link" ]; then from=$pending; else from=$previous; fi
    [ -s "$from/link" ] || fail 'there is no previous version; install.sh --versions lists what is installed'
    back=$(cat "$from/link")
    target=$opt/$back
    is_whole "$target" || fail "$target: is incomplete; install it again by its wheel"
    extras=$(cat "$from/record/with" 2>/dev/null || :)
    render_previous
    [ ! -e "$from/$unit_name" ] || new_unit=$from/$unit_name
    check_version "$target"
    if step "going back to ${back##*/}"; then keep_last; fi
    changed=yes
    [ -n "$dry_run" ] || restore_previous
    switch_link "$back"
    start_or_go_back
}

# The configuration of that time comes back as well, unless it was edited since.
render_previous() {
    candidate=$work/watch.toml
    if user_changed_config || [ ! -e "$from/watch.toml" ]; then kept_config=yes; else kept_config=''; fi
    if [ -n "$kept_config" ]; then cp -- "$config" "$candidate"; else cp -- "$from/watch.toml" "$candidate"; fi
    mkdir -p "$work/dropins"
    for name in $our_dropins; do [ ! -e "$from/$name" ] || cp -- "$from/$name" "$work/dropins/"; done
    if [ -e "$from/${model_place##*/}" ]; then model=$from/${model_place##*/}; fi
}

restore_previous() {
    if [ -n "$kept_config" ]; then
        say "$config: kept, because you changed it"
        cp -p -- "$config" "$work/kept.toml"
    fi
    cp -r -- "$from" "$work/previous"
    restore "$work/previous"
    if [ -n "$kept_config" ]; then
        put "$work/kept.toml" "$config"
        chmod --reference="$work/kept.toml" -- "$config"
    fi
}

remove_old_versions() {
    for folder in "$opt"/versions/*/; do
        name=versions/$(basename -- "$folder")
        if [ "$name" = 'versions/*' ] || is_in_use "$name"; then continue; fi
        step "removing an old version: ${name##*/}" || continue
        rm -rf -- "${opt:?}/$name"
    done
}

# list_versions: one line each.
list_versions() {
    for folder in "$opt"/versions/*/; do
        [ -d "$folder" ] || continue
        name=versions/$(basename -- "$folder")
        notes=''
        [ "$(in_place)" != "$name" ] || notes="$notes current"
        [ "$(running)" != "$name" ] || notes="$notes running"
        [ "$(cat "$previous/link" 2>/dev/null)" != "$name" ] || notes="$notes previous"
        is_whole "${folder%/}" || notes="$notes incomplete"
        echo "${name##*/}  $(date -r "$folder/bin" '+%Y-%m-%d %H:%M') $notes"
    done
}
