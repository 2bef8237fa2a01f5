#!/bin/sh
# Does Home Assistant understand the service, and is it told the truth? test-ha.sh
# A real Home Assistant, a Mosquitto and edge-watch share a network of their own. What is tried is in home_assistant.py; one
# line a check, then the figures. MINUTES (10) is how long the camera is off.
# Run as root; PYTHON names the interpreter that has this project. The first time it builds Home Assistant: a quarter of an hour.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"

python=${PYTHON:-python3}
limit=3600 # seconds; usual is a quarter of an hour, most of it with the camera off

say() { echo "test-ha: $*" >&2; }

check_prerequisites() {
    missing=0
    need() {
        say "$*"
        missing=1
    }
    [ "$(id -u)" = 0 ] || need 'must run as root: namespaces take its privileges (sudo make test-ha)'
    command -v mmdebstrap >/dev/null || need 'mmdebstrap is not installed: apt-get install mmdebstrap'
    command -v ip >/dev/null || need 'ip is not installed: apt-get install iproute2'
    [ -x /usr/sbin/mosquitto ] || need 'mosquitto is not installed: apt-get install mosquitto mosquitto-clients'
    [ -e pyproject.toml ] || need 'must run from the root of the repository'
    [ "$missing" = 0 ]
}

remove_work() { rm -rf --one-file-system "$work"; }

check_prerequisites || exit 1
work=$(mktemp -d)
on_end remove_work

PYTHON=$python run 10800 "$here/home-assistant-root.sh" >"$work/cache"
cache=$(cat "$work/cache")

mkdir -p "$work/config" "$cache/root/config"
# With the namespace of processes all that was started ends; the root is mounted over, and not written to.
# shellcheck disable=SC2016  # the inner shell fills it in
run "$limit" unshare --net --mount --pid --fork --kill-child sh -ec '
    ip link set lo up
    mount --rbind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    mount --bind "$2/config" "$1/config"
    mount -t tmpfs tmpfs "$1/tmp"
    mount -t tmpfs tmpfs /sys/class/thermal
    PYTHONPATH=tests exec "$3" "$4/home_assistant.py" "$1" "$2"
' test-ha "$cache/root" "$work" "$python" "$here"
