#!/bin/sh
# Installs this checkout on a Pi over ssh; push.sh --help tells how.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
ssh=${EDGE_SSH:-ssh}
host='' wheel='' options=''

say() { echo "push.sh: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

usage() {
    cat <<END
usage: deploy/push.sh USER@HOST [--model FILE] [--wheel FILE] [--with web,mqtt] [--offline DIR] [--dry-run]

Builds the package here, copies it to the Pi and runs install.sh there. The options are install.sh's; files and folders
are this machine's, and are copied. USER must be root or may use sudo.

  deploy/push.sh pi@raspberrypi.local
  deploy/push.sh pi@raspberrypi.local --model out/model-int8.tflite
  EDGE_SSH='ssh -p 2222' deploy/push.sh root@localhost

PYTHON is the Python that builds the package (default: python3), EDGE_SSH the ssh that is used (default: ssh).
Exit status: that of install.sh; 1 something failed before, 2 wrong usage.
END
}

wrong() {
    say "$*; push.sh --help shows how"
    exit 2
}

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --model | --wheel | --offline)
            [ -e "${2-}" ] || wrong "$1 ${2-}: no such file or folder"
            ;;
        --with) [ -n "${2-}" ] || wrong "$1 must be followed by names" ;;
        esac
        case $1 in
        --model) copy model.tflite "$2" && options="$options --model model.tflite" && shift ;;
        --wheel) wheel=$2 && shift ;;
        --offline) copy wheels "$2" && options="$options --offline wheels" && shift ;;
        --with)
            case $2 in none | web | mqtt | web,mqtt | mqtt,web) ;;
            *) wrong "--with must be web, mqtt, web,mqtt or none. Received: $2" ;;
            esac
            options="$options --with $2" && shift
            ;;
        --dry-run) options="$options --dry-run" ;;
        -h | --help) usage && exit ;;
        -*) wrong "unknown option $1" ;;
        *)
            [ -z "$host" ] || wrong "one USER@HOST only. Received: $host and $1"
            host=$1
            ;;
        esac
        shift
    done
    [ -n "$host" ] || wrong 'USER@HOST is missing'
}

copy() { cp -r -- "$2" "$files/$1"; }

build_wheel() {
    if [ -n "$wheel" ]; then
        cp -- "$wheel" "$files/"
        return
    fi
    say 'building the package'
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$files" "$here/.." >&2 ||
        fail 'the package could not be built; see above, or name one with --wheel FILE'
}

# One connection for both commands, so that a password is asked for once.
remote() { $ssh -o ControlMaster=auto -o ControlPath="$work/ssh" -o ControlPersist=60 "$@"; }

clean_up() {
    status=$?
    trap - EXIT
    [ ! -S "$work/ssh" ] || remote -O exit "$host" 2>/dev/null || :
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
read_options "$@"
build_wheel
for file in install.sh version.sh uninstall.sh places.sh edge-watch.service network.conf watch.toml 60-edge-dma-heap.rules; do
    cp -- "$here/$file" "$files/"
done

say "copying to $host"
# shellcheck disable=SC2016  # expanded over there
folder=$(tar -C "$files" -cf - . | remote "$host" 'folder=$(mktemp -d) && tar -C "$folder" -xf - && echo "$folder"') ||
    fail "$host: could not copy to it, see above; try: $ssh $host true"
say "installing on $host"
# A terminal, where there is one, for sudo to ask its password in.
if [ -t 0 ]; then tty=-t; else tty=-T; fi
remote $tty "$host" "cd $folder && if [ \$(id -u) = 0 ]; then sh install.sh $options; else sudo sh install.sh $options; fi;
    status=\$?; cd /; rm -rf $folder; exit \$status"
