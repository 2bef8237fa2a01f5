# shellcheck shell=sh disable=SC2034
# Sourced by install.sh and uninstall.sh: where things are put on the device, and how both speak.
#
#   /opt/edge-classify/versions/VERSION-RECIPE/   a virtual environment each, with these scripts in its deploy/
#   /opt/edge-classify/current                    the one that runs, a link
#   /opt/edge-classify/record/                    what was installed, so that the user's own work is told from it

opt=/opt/edge-classify
record=$opt/record
config=/etc/edge-classify/watch.toml
state=/var/lib/edge-classify
model_place=$state/models/model.tflite
unit_name=edge-watch.service
unit=/etc/systemd/system/$unit_name
network=$unit.d/20-network.conf
web_token=/etc/edge-classify/web-token
mqtt_password=/etc/edge-classify/mqtt-password
rule=/etc/udev/rules.d/60-edge-dma-heap.rules

# The system's own tools and Python, whatever root's shell has set.
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022 # the service, which is another user, is to read all of it

say() { echo "${0##*/}: $*" >&2; }

# fail WHAT IS WRONG; WHAT TO DO
fail() {
    at=''
    say "$*"
    exit 1
}

# step WHAT IS DONE: says it, and is false in a dry run, so that the caller leaves it at that.
step() {
    at=$*
    say "${dry_run:+dry run: }$*"
    [ -z "$dry_run" ]
}

# require_root: a dry run may be anybody's.
require_root() { [ -n "$dry_run" ] || [ "$(id -u)" = 0 ] || fail "must run as root; sudo $0"; }

one_at_a_time() {
    [ -z "$dry_run" ] || return 0
    exec 9>/run/lock/edge-classify
    flock -n 9 || fail 'another installation is running; wait for it'
}

# The version that is in place, such as versions/0.1.0-1a2b3c4d; empty where there is none.
in_place() { readlink "$opt/current" || :; }

hash_of() { sha256sum <"$1" | cut -c -64; }

# is_as_recorded FILE: it is what was installed, and the user has not changed it since.
is_as_recorded() {
    [ -e "$1" ] && [ "$(cat "$record/${1##*/}.sha256" 2>/dev/null)" = "$(hash_of "$1")" ]
}
