# shellcheck shell=sh
# Sourced by the scripts beside it: long commands that a signal or a time limit stops, and a clean end either way.
# A shell runs its traps only between commands, and `wait` is the one long command that it lets a signal cut short;
# `timeout` hands a signal on to the command and all that it started.

child=''

# run SECONDS COMMAND...: as if called plainly, but stopped with the script and after so many seconds (exit status 124).
run() {
    timeout -k 30 "$@" &
    child=$!
    status=0
    wait "$child" || status=$?
    child=''
    return "$status"
}

# on_end FUNCTION: called once when the script ends, however it ends, after the running command has gone; its argument is the
# exit status.
on_end() {
    at_end=$1
    trap 'finish $?' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

finish() {
    trap '' HUP INT TERM
    trap - EXIT
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || :
        wait "$child" || :
    fi
    "$at_end" "$1"
    exit "$1"
}
