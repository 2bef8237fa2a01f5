# shellcheck shell=sh disable=SC2034
# Sourced by install.sh and uninstall.sh: where things are on the device, how files are put there, how both speak.
#
#   /opt/edge-classify/versions/VERSION-RECIPE/   a virtual environment each, with these scripts in its deploy/
#   /opt/edge-classify/current                    the one that runs, a link
#   /opt/edge-classify/record/                    hashes of what was installed, to recognise what the user changed
#   /opt/edge-classify/pending/                   what was in place before the installation that is under way
#   /opt/edge-classify/previous/                  what was in place before the last upgrade, for install.sh --back

opt=/opt/edge-classify
record=$opt/record
pending=$opt/pending
previous=$opt/previous
config=/etc/edge-classify/watch.toml
state=/var/lib/edge-classify
private_state=/var/lib/private/edge-classify # where systemd keeps $state, a link, for a dynamic user
model_place=$state/models/model.tflite
unit_name=edge-watch.service
unit=/etc/systemd/system/$unit_name
dropins=$unit.d
our_dropins='20-network.conf 25-camera.conf 30-folders.conf 35-gpio.conf'
web_token=/etc/edge-classify/web-token
mqtt_password=/etc/edge-classify/mqtt-password
notify_urls=/etc/edge-classify/notify-urls
camera_password=/etc/edge-classify/camera-password
rule=/etc/udev/rules.d/60-edge-dma-heap.rules
shared_group=edge-classify # may write in the folder of --snapshots, and whoever is in it may look

# The system's own tools and Python, whatever root's or the calling user's shell has set (sudo -E).
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022 # the service, which is another user, must be able to read all of it
unset PYTHONPATH PYTHONHOME PYTHONUSERBASE PYTHONSTARTUP PYTHONPLATLIBDIR CDPATH
export PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1

say() { echo "${0##*/}: $*" >&2; }

# fail WHAT IS WRONG; WHAT TO DO
fail() {
    at=''
    say "$*"
    exit 1
}

# step TEXT: prints the step, and is false in a dry run, so that the caller skips it.
step() {
    at=$*
    say "${dry_run:+dry run: }$*"
    [ -z "$dry_run" ]
}

# require_root: a dry run may be anybody's.
require_root() { [ -n "$dry_run" ] || [ "$(id -u)" = 0 ] || fail "must run as root; sudo $0"; }

# systemd_runs: false in most containers, in a chroot and in WSL without systemd.
systemd_runs() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }

one_at_a_time() {
    [ -z "$dry_run" ] || return 0
    mkdir -p /run/lock
    exec 9>/run/lock/edge-classify
    flock -n 9 || fail 'another installation is running; wait for it'
}

# Python that sees neither the current folder nor anybody's own packages.
python() { python3 -I "$@"; }

# The version that is in place, such as versions/0.2.0-1a2b3c4d; empty where there is none.
in_place() { readlink "$opt/current" || :; }

hash_of() { sha256sum <"$1" | cut -c -64; }

# is_as_recorded FILE: it is what was installed, and the user has not changed it since. After an installation that was cut
# short it may still be what the one before had put.
is_as_recorded() {
    [ -e "$1" ] || return 1
    hash=$(hash_of "$1")
    for records in "$record" "$pending/record"; do
        [ "$(cat "$records/${1##*/}.sha256" 2>/dev/null)" != "$hash" ] || return 0
    done
    return 1
}

# put SOURCE PLACE: whole or not at all, also after a power cut. What is there keeps its owner and mode, and a link stays one.
put() {
    place=$(readlink -f -- "$2") || place=$2
    install -D -m 644 -- "$1" "$place.new"
    if [ -e "$place" ]; then
        chown --reference="$place" -- "$place.new"
        chmod --reference="$place" -- "$place.new"
    fi
    sync -- "$place.new"
    mv -- "$place.new" "$place"
}

put_recorded() {
    mkdir -p "$record"
    hash_of "$1" >"$record/${2##*/}.sha256"
    put "$1" "$2"
}

recorded() { if [ -e "$record/$1" ]; then xargs <"$record/$1"; fi; }

# nearest_folder PATH: itself, or the first folder above it that exists.
nearest_folder() {
    folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname -- "$folder"); done
    echo "$folder"
}
