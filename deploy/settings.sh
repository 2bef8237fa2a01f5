# shellcheck shell=sh disable=SC2154
# Sourced by install.sh: the configuration, its model and the folders that it names.
# Takes model, new_config, source, snapshots, dry_run and work from there.

# configured KEY: the text that the configuration has; empty where it has none, or before Python is there.
configured() { python "$here/settings.py" get "$config" "$1" 2>/dev/null || :; }

user_changed_config() { [ -e "$config" ] && ! is_as_recorded "$config"; }

# What the user has written is kept, apart from the options' values. Else it is the new default, with what the options
# of this run or of earlier ones have put in.
render_config() {
    candidate=$work/watch.toml
    if [ -n "$new_config" ]; then
        cp -- "$new_config" "$candidate"
    elif user_changed_config; then
        cp -- "$config" "$candidate"
    else
        default_config >"$candidate"
        for key in model source snapshots.folder results.file; do keep_setting "$key"; done
    fi
    [ -z "$model" ] || set_setting model "$model_place"
    [ -z "$source" ] || set_setting source "$source"
    # Of a folder each image's result is wanted, and not only that the state has changed.
    case $source in /dev/*) ;; /*) [ -n "$(candidate_setting results.file)" ] || set_setting results.file "$state/results.jsonl" ;; esac
    [ -z "$snapshots" ] || set_setting snapshots.folder "$snapshots"
    if [ -e "$config" ]; then # so that the check may read just what the service may
        chown --reference="$config" -- "$candidate" 2>/dev/null || :
        chmod --reference="$config" -- "$candidate"
    fi
}

keep_setting() {
    kept=$(configured "$1")
    [ -z "$kept" ] || set_setting "$1" "$kept"
}

# set_setting KEY TEXT
set_setting() {
    if ! command -v python3 >/dev/null; then return 0; fi # a dry run on a blank card
    python "$here/settings.py" set "$candidate" "$1" "$2" >"$candidate.new" 2>"$candidate.why" || {
        cat "$candidate.why" >&2
        fail "$config: $1 could not be set; write $1 = \"$2\" in it, then run this again"
    }
    cat "$candidate.new" >"$candidate"
}

# candidate_setting KEY: the text in the configuration that is about to be put.
candidate_setting() { python "$here/settings.py" get "$work/watch.toml" "$1" 2>/dev/null || :; }

# The unit has a /tmp of its own: what lies in the system's would be waited for. Other places that it hides are found by the
# check.
check_folders() {
    if ! command -v python3 >/dev/null; then return 0; fi
    for key in model source snapshots.folder results.file; do
        case $(candidate_setting "$key") in
        /tmp/* | /var/tmp/*)
            fail "$key = \"$(candidate_setting "$key")\": the service has a /tmp of its own and does not see it; move it below /srv"
            ;;
        esac
    done
}

put_model() {
    [ -n "$model" ] || return 0
    if cmp -s -- "$model" "$model_place"; then return 0; fi
    change "putting the model in place: $model_place" || return 0
    put_recorded "$model" "$model_place"
}

# As dpkg treats its configuration files: what the user changed stays, and the new default is put beside it.
put_config() {
    mine=''
    if [ -n "$new_config" ] || user_changed_config; then mine=yes; fi
    if [ -n "$new_config" ] && [ -e "$config" ] && ! cmp -s -- "$work/watch.toml" "$config" &&
        step "keeping the last $config as $config.bak"; then
        cp -p -- "$config" "$config.bak"
    fi
    if ! cmp -s -- "$work/watch.toml" "$config" && change "writing $config"; then
        if [ -n "$mine" ]; then put "$work/watch.toml" "$config"; else put_recorded "$work/watch.toml" "$config"; fi
    fi
    [ -z "$mine" ] || put_default_beside
    if [ -z "$dry_run" ]; then mkdir -p "$record" && hash_of "$here/watch.toml" >"$record/default"; fi
}

put_default_beside() {
    [ -n "$new_config" ] || say "$config: kept, because you changed it"
    if [ "$(cat "$record/default" 2>/dev/null)" = "$(hash_of "$here/watch.toml")" ]; then return 0; fi
    step "putting the new default beside it: $config.dist" || return 0
    put_recorded "$here/watch.toml" "$config.dist"
}

# A folder that --snapshots names belongs to a group of its own: the service may write there, and who joins may look.
make_snapshots_folder() {
    [ -n "$snapshots" ] || return 0
    make_groups "$shared_group"
    if [ -d "$snapshots" ] && [ "$(stat -c %G "$snapshots")" = "$shared_group" ]; then return 0; fi
    step "making $snapshots, writable for the group $shared_group" || return 0
    mkdir -p -- "$snapshots"
    chgrp -- "$shared_group" "$snapshots"
    chmod -- g+rwxs "$snapshots"
    say "to see the images as your own user: sudo usermod -aG $shared_group ${SUDO_USER:-\$USER}, then log in again"
}
