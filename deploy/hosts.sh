# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by push.sh: many hosts, side by side. What was installed where is noted on the workstation, so that the same command
# again goes only to those that are missing. Takes work, files, jobs, again, no_wheel and dry_run from there.

pushed=${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/edge-classify/pushed # a line each: host, and the sum of what it has got

# add_host USER@HOST: once, however often it is named.
add_host() {
    case $1 in
    -* | *[!A-Za-z0-9@.:/_%+~-]*) wrong "a host must be USER@HOST or ssh://USER@HOST:PORT. Received: $1" ;;
    esac
    grep -qxF -e "$1" "$work/hosts" 2>/dev/null || echo "$1" >>"$work/hosts"
}

# add_hosts_of FILE
add_hosts_of() {
    sed 's/#.*//; s/^[[:space:]]*//; s/[[:space:]]*$//; /^$/d' "$1" >"$work/more-hosts"
    while IFS= read -r line; do add_host "$line"; done <"$work/more-hosts"
}

push_to_many() {
    sum=$(sum_of_files)
    mkdir -p "${pushed%/*}"
    num_hosts=$(wc -l <"$work/hosts")
    say "installing on $num_hosts hosts, $jobs at a time"
    job=0
    while [ "$job" -lt "$jobs" ] && [ "$job" -lt "$num_hosts" ]; do
        job=$((job + 1))
        take_hosts &
    done
    wait
    summarize
}

# Names and contents, and the options among them.
sum_of_files() { (cd "$files" && find . -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum | cut -c -64); }

# take_hosts: one after the other, whichever no other worker has taken yet.
take_hosts() {
    number=0
    while IFS= read -r host <&4; do
        number=$((number + 1))
        place=$work/$number
        mkdir "$place" 2>/dev/null || continue
        if has_got_it; then result=kept; else push_to_this; fi
        if [ -d "$place" ]; then echo "$result" >"$place/result"; fi
    done 4<"$work/hosts" 3</dev/null
}

has_got_it() { [ -z "$again$no_wheel$dry_run" ] && grep -qxF -e "$host $sum" "$pushed" 2>/dev/null; }

# Sets result. Where push.sh itself is ended, its folder is gone.
push_to_this() {
    (
        connect
        conclude
    ) 2>&1 | tee "$place/log" | sed -u "s|^|$host: |" >&2 || :
    result=failed
    if [ "$(cat "$place/ended" 2>/dev/null)" = 0 ]; then
        result=installed
        [ -n "$no_wheel$dry_run" ] || note_sum
    fi
}

# For each host the last one counts. Another push may do the same.
note_sum() {
    (
        flock 9
        awk -v host="$host" '$1 != host' "$pushed" >"$pushed.new" 2>/dev/null || :
        echo "$host $sum" >>"$pushed.new"
        mv -- "$pushed.new" "$pushed"
    ) 9>"$pushed.lock"
}

summarize() {
    say "$(count installed) of $num_hosts hosts done, $(count failed) failed, $(count kept) had it already"
    number=0
    while IFS= read -r host <&4; do
        number=$((number + 1))
        place=$work/$number
        [ "$(cat "$place/result")" != failed ] || say "$host: $(reason)"
    done 4<"$work/hosts"
    [ "$(count failed)" = 0 ] || fail 'run the same command again for those that failed'
}

count() { cat "$work"/*/result | grep -cx "$1" || :; }

# The last line of its output; of a login that failed, of what ssh printed.
reason() {
    if [ ! -e "$place/began" ] && grep -qv '^push.sh: ' "$place/log"; then grep -v '^push.sh: ' "$place/log"; else cat "$place/log"; fi |
        sed '/^[[:space:]]*$/d' | tail -n 1 | sed "s|^push.sh: $host: ||"
}
