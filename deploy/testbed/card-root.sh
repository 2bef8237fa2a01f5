#!/bin/sh
# Builds what a blank card is tried in, once, and prints the folder that holds it: card-root.sh SUITE
#   root/    Debian of that suite with systemd, apt and sudo; no Python, no git
# Takes EDGE_TESTBED_CACHE from the environment. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$here/build.sh"

build_in "$cache/card-$1" 1500 "$0"

say "building $1 with systemd (a minute)"
# shellcheck disable=SC2016  # mmdebstrap's shell fills it in
unpack 900 "$1" "$new/root" --variant=apt \
    --include=systemd,systemd-sysv,udev,dbus,sudo,ca-certificates \
    --customize-hook='systemctl --root="$1" --quiet mask systemd-networkd.service systemd-resolved.service'

built root
