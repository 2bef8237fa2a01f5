#!/bin/sh
# Builds what Home Assistant runs in, once, and prints the folder that holds it:
#   root/    Debian trixie with its Python 3.13, and Home Assistant from PyPI in /opt/hass, with a stand-in for its frontend:
#            that package has 50 MB of pages which no check opens
# Some of its packages are built from source: a quarter of an hour. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$here/build.sh"

version=2025.4.4 # the newest for Python 3.13.0; trixie's can have later ones

build_in "$cache/home-assistant" 3000 "$0"

say 'building trixie with a compiler (a minute)'
unpack 900 trixie "$new/root" --variant=apt --architectures=amd64 --aptopt='APT::Install-Recommends "false"' \
    --include=python3,python3-venv,python3-dev,gcc,g++,ca-certificates

# The way to PyPI is the machine's own, its certificates too.
cp /etc/resolv.conf "$new/root/etc/"
cp "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" "$new/root/etc/ssl/certs/ca-certificates.crt"
"$python" -m pip config list 2>/dev/null | sed -n "s/^global.index-url='\(.*\)'$/[global]\nindex-url = \1/p" >"$new/root/etc/pip.conf"

say "installing Home Assistant $version (a quarter of an hour)"
# In a namespace of its own: the mounts go with it.
# shellcheck disable=SC2016  # the inner shell fills it in
run 7200 unshare --mount sh -ec '
    mount --rbind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    root=$1
    chroot "$root" env -i PATH=/usr/bin:/bin HOME=/root python3 -m venv /opt/hass
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PIP_DISABLE_PIP_VERSION_CHECK=1 \
        PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
        /opt/hass/bin/pip install --quiet --prefer-binary "homeassistant==$2" paho-mqtt==2.1.0
' build "$new/root" "$version" >&2 || no_packages "Home Assistant $version"

site=$(echo "$new"/root/opt/hass/lib/python3.*/site-packages)
mkdir "$site/hass_frontend"
cat >"$site/hass_frontend/__init__.py" <<'END'
"""A stand-in for Home Assistant's pages: its entities need none."""

from pathlib import Path


def where():
    return Path(__file__).parent
END
rm -rf --one-file-system "$new/root/root/.cache"

built root
