#!/bin/sh
# Installs this checkout on a Pi over ssh, or on many; see push.sh --help.
#
# One remote shell makes its own temporary folder, works in it and removes it by its own variable. What the network sends is
# shown or compared with marks that hold a random token, and never becomes part of a command: a greeting in .bashrc is text.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
ssh=${EDGE_SSH:-ssh}
login_limit_s=${EDGE_LOGIN_LIMIT_S:-180} # sshd itself gives a login 120 s; then .bashrc runs
wheel='' no_wheel='' jobs=8 again='' dry_run='' many=''

# shellcheck source-path=SCRIPTDIR source=hosts.sh
. "$here/hosts.sh"

say() { echo "push.sh: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

usage() {
    cat <<END
usage: deploy/push.sh USER@HOST... [--hosts FILE] [--model FILE] [--config FILE] [--source DIR|camera] [--snapshots DIR]
                      [--with NAMES] [--wheel FILE] [--offline DIR] [--no-service] [--jobs N] [--again] [--dry-run]
       deploy/push.sh USER@HOST... --back | --versions

Builds the package here, copies it to the Pi and runs install.sh there. The options are those of install.sh: --model,
--config, --wheel and --offline name files of this machine, which are copied, --source and --snapshots folders of the Pi.
USER must be root or be allowed to use sudo.

Several hosts are installed in parallel; each line of output begins with the host, and a summary names those that failed,
and why. Run the same command again to retry only these: hosts that have this installation are skipped. Passwords are not
prompted for with several hosts: log in by key, as root or as a user whose sudo needs no password.

  --hosts FILE  more hosts, one per line; # begins a comment
  --jobs N      how many hosts at a time (default: $jobs)
  --again       do not skip hosts that have this installation

  deploy/push.sh pi@raspberrypi.local
  deploy/push.sh pi@raspberrypi.local --model out/model-int8.tflite
  deploy/push.sh pi@raspberrypi.local --back
  deploy/push.sh --hosts cameras.txt --config watch.toml
  EDGE_SSH='ssh -p 2222' deploy/push.sh root@localhost

PYTHON is the Python that builds the package (default: python3), EDGE_SSH the ssh command (default: ssh), EDGE_LOGIN_LIMIT_S
the time limit for the login in seconds (default: 180).
Exit status: that of install.sh, of many hosts 1 if one of them failed; 1 something failed before, 2 wrong usage.
END
}

wrong() {
    say "$*; push.sh --help shows how"
    exit 2
}

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --model | --wheel | --offline | --config | --hosts)
            [ -e "${2-}" ] || wrong "$1 ${2-}: no such file or folder"
            ;;
        --with | --source | --snapshots) [ -n "${2-}" ] || wrong "$1 must be followed by a value" ;;
        esac
        case $1 in
        --model) copy model.tflite "$2" && pass --model model.tflite && shift ;;
        --config) copy watch.new.toml "$2" && pass --config watch.new.toml && shift ;;
        --hosts) add_hosts_of "$2" && shift ;;
        --jobs)
            case ${2-} in '' | *[!0-9]* | 0) wrong "--jobs must be 1 or more. Received: ${2-}" ;; esac
            jobs=$2 && shift
            ;;
        --again) again=yes ;;
        --wheel) wheel=$2 && shift ;;
        --offline) copy wheels "$2" && pass --offline wheels && shift ;;
        --with)
            case $2 in *[!a-z,]*) wrong "--with must be names with commas between. Received: $2" ;; esac
            pass --with "$2" && shift
            ;;
        --source | --snapshots) pass "$1" "$2" && shift ;;
        --no-service) pass "$1" ;;
        --dry-run) pass "$1" && dry_run=yes ;;
        --back | --versions) pass "$1" && no_wheel=yes ;;
        -h | --help) usage && exit ;;
        -*) wrong "unknown option $1" ;;
        *) add_host "$1" ;;
        esac
        shift
    done
    [ -s "$work/hosts" ] || wrong 'USER@HOST is missing'
    [ "$(wc -l <"$work/hosts")" = 1 ] || many=yes
}

copy() { cp -r -- "$2" "$files/$1"; }

# pass WORD...: to install.sh, quoted for the shell that reads the file.
pass() {
    for word; do printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")" >>"$files/run.sh"; done
}

build_wheel() {
    if [ -n "$no_wheel" ]; then return 0; fi
    if [ -n "$wheel" ]; then
        cp -- "$wheel" "$files/"
        return
    fi
    say 'building the package'
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$files" "$here/.." >&2 ||
        fail 'the package could not be built; see above, or name one with --wheel FILE'
}

# What runs on the Pi: one line without single quotes or exec, for a login shell may be fish, csh or restricted. Lines before the token
# are left from the replies to the questions of a .bashrc. When the connection is lost, SIGPIPE ends it by its trap, and the
# folder is removed. sudo reads its password from the same input as the files.
# shellcheck disable=SC2016  # expanded on the Pi
remote_command() {
    printf "sh -c '%s'" "$(printf '%s; ' \
        "token=$token" "size=$1" 'umask 077' 'folder=' \
        'mark() { printf "\n%s %s\n" "$token" "$*"; }' \
        'trap "[ -z \"\$folder\" ] || rm -rf -- \"\$folder\"" EXIT' \
        'trap "exit 129" HUP' 'trap "exit 130" INT' 'trap "exit 141" PIPE' 'trap "exit 143" TERM' \
        'mark began' \
        'while IFS= read -r line && [ "$line" != "$token" ]; do :; done' \
        'folder=$(mktemp -d) && cd -- "$folder" && head -c "$size" >files.tar && tar -xf files.tar && rm files.tar || { mark unwritten; exit 1; }' \
        'if [ "$(id -u)" = 0 ]; then sh run.sh </dev/null; elif sudo -n true 2>/dev/null; then sudo sh run.sh </dev/null; elif command -v sudo >/dev/null; then mark password; sudo -S -p "[sudo] password for %u on %h: " sh run.sh; else mark powerless; exit 1; fi' \
        'status=$?' 'cd /' \
        'mark ended "$status"')"
}

# --- one host: $host, and the folder $place for what is known of its connection

# Writes what the remote shell reads. Empty lines first: replies to questions of a .bashrc.
send() {
    printf '\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n'
    wait_for began
    echo "$token"
    cat -- "$work/files.tar"
    wait_for password ended
    if [ -e "$place/password" ] && [ ! -e "$place/ended" ]; then type_password; fi
}

# wait_for NAME...: until one of these marks is there, or the connection has ended.
wait_for() {
    while [ -d "$place" ]; do
        for name in "$@" closed; do [ ! -e "$place/$name" ] || return 0; done
        sleep 0.1
    done
}

# sudo's question is on the screen by way of its standard error; the replies are typed blindly, as usual.
type_password() {
    [ -t 0 ] || return 0 # sudo then reports that there is no password
    stty -echo
    while IFS= read -r answer; do printf '%s\n' "$answer"; done
}

# Reads what the remote shell writes: marks become files in $place, and the rest is shown.
receive() {
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        "$token began" | "$token unwritten" | "$token password" | "$token powerless") : >"$place/${line##* }" ;;
        "$token ended "*) echo "${line##* }" >"$place/ended.new" && mv "$place/ended.new" "$place/ended" ;;
        '') ;;
        *) if [ -e "$place/began" ]; then printf '%s\n' "$line"; else printf '%s\n' "$line" >&2; fi ;;
        esac
        [ ! -e "$place/ended" ] || stop_sending
    done
    : >"$place/closed"
    stop_sending
}

stop_sending() { if [ -e "$place/sender" ]; then kill "$(cat "$place/sender")" 2>/dev/null || :; fi; }

# A login that never comes to the command, such as a .bashrc that repeats a question forever.
limit_login() {
    left=$login_limit_s
    while [ "$left" -gt 0 ] && [ -d "$place" ] && [ ! -e "$place/began" ] && [ ! -e "$place/closed" ]; do
        sleep 1
        left=$((left - 1))
    done
    [ "$left" -gt 0 ] || kill "$(cat "$place/ssh")" 2>/dev/null || :
}

# own_pid: of the subshell that calls it; $$ is the script's.
own_pid() { exec sh -c 'echo "$PPID"'; }

connect() {
    limit_login >/dev/null 2>&1 &
    {
        trap 'exit 0' TERM # of stop_sending; a shell reports what a signal has ended
        (own_pid) >"$place/sender"
        send
    } <&3 | {
        (own_pid) >"$place/ssh"
        exec $ssh ${many:+-o BatchMode=yes} -T "$host" "$(remote_command "$(($(wc -c <"$work/files.tar")))")"
    } | receive
}

conclude() {
    if [ -e "$place/ended" ]; then exit "$(cat "$place/ended")"; fi
    if [ -e "$place/unwritten" ]; then fail "$host: the files could not be unpacked, see above; make room in its /tmp"; fi
    if [ -e "$place/powerless" ]; then fail "$host: this user is not root, and sudo is not installed; log in as root"; fi
    if [ -e "$place/began" ]; then fail "$host: the connection was lost; run this again, a second run finishes the first"; fi
    fail "$host: its login did not run a command, see above (a wrong key, a restricted shell, a .bashrc that prompts or exits?); try: $ssh $host true"
}

# A connection that is still there belongs to this script, and a worker would not hear of its end.
end_connections() {
    for file in "$work"/*/ssh; do
        if [ -e "$file" ] && [ ! -e "${file%/ssh}/closed" ]; then kill "$(cat "$file")" 2>/dev/null || :; fi
    done
}

# shellcheck disable=SC2317  # called by a trap
clean_up() {
    status=$?
    trap - EXIT
    [ ! -t 0 ] || [ ! -e "$work/1/password" ] || stty echo 2>/dev/null || :
    end_connections
    rm -rf -- "$work"
    exit "$status"
}

work=$(mktemp -d)
files=$work/files
mkdir "$files"
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
printf 'exec sh install.sh' >"$files/run.sh"
read_options "$@"
build_wheel
while read -r file; do cp -- "$here/$file" "$files/"; done <"$here/files"
cp -- "$here/files" "$files/"
tar -C "$files" -cf "$work/files.tar" .
token=edge-push-$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')

exec 3<&0
if [ -n "$many" ]; then
    push_to_many
else
    host=$(cat "$work/hosts") place=$work/1
    mkdir "$place"
    say "installing on $host"
    connect
    conclude
fi
