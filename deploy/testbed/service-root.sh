#!/bin/sh
# Builds what the service is tried in, once, and prints the folder that holds it:
#   root/    Debian bookworm with systemd and an ssh server, and no Python: what a fresh card has. The packages that
#            install.sh asks apt for lie in apt's own cache, so that it is tried without a network
#   wheels/  what pip is to fetch on the device, for Debian bookworm's Python
# Takes PYTHON (its pip fetches the wheels) and EDGE_TESTBED_CACHE from the environment. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=debian.sh
. "$here/debian.sh"

python=${PYTHON:-python3}
cache=${EDGE_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/edge-classify/testbed}/service
recipe=$(sha256sum <"$0")

say() { echo "service-root: $*" >&2; }

remove_new() { rm -rf --one-file-system "$cache"/.new.*; }

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
exec 9>"$cache/lock"
if ! flock -n 9; then
    say "waiting for another build in $cache"
    on_end :
    run 900 flock 9
fi
on_end remove_new # what a power cut left goes with it: the lock says that nobody else is building

if [ "$(cat "$cache/recipe" 2>/dev/null)" = "$recipe" ]; then
    say "using $cache"
    echo "$cache"
    exit
fi

new=$(mktemp -d "$cache/.new.XXXXXX")
mirror=$(debian_mirror)
[ -n "$mirror" ] || say "apt knows no Debian mirror here (apt-get update makes it known); taking mmdebstrap's own default"
apt_settings >"$new/apt.conf"

say 'building bookworm with systemd (a minute)'
# The lists and the archives stay: in the container apt installs from them.
# shellcheck disable=SC2016  # mmdebstrap's shell fills it in
run 900 mmdebstrap --quiet --mode=root --variant=apt --architectures=amd64 --skip=cleanup/apt \
    --include=systemd,systemd-sysv,udev,dbus,openssh-server,sudo \
    --aptopt="$new/apt.conf" --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='chroot "$1" apt-get clean' \
    --customize-hook='chroot "$1" apt-get install --yes -qq --download-only --no-install-recommends \
        python3-venv python3-numpy python3-pil' \
    --customize-hook='systemctl --root="$1" --quiet mask systemd-networkd.service systemd-resolved.service ssh.service' \
    bookworm "$new/root" ${mirror:+"$mirror"} >&2

say 'fetching the wheels'
run 600 "$python" -m pip download --quiet --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 \
    --platform manylinux_2_34_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --platform any \
    --dest "$new/wheels" 'numpy<2' tflite-runtime==2.14.0 'ai-edge-litert>=2.1' flatbuffers >&2
rm -f "$new"/wheels/numpy-* # the system's is to be used, and nothing else to be had

# From here the old is gone and the new is not yet vouched for; the recipe goes in last.
rm -rf --one-file-system "$cache/recipe" "$cache/root" "$cache/wheels"
mv "$new/root" "$new/wheels" "$cache/"
echo "$recipe" >"$cache/recipe"
say "built $cache"
echo "$cache"
