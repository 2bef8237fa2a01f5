#!/bin/sh
# Builds what the emulated-ARM checks run in, once, and prints the folder that holds it:
#   bookworm-arm64/  Debian bookworm for arm64 as a Pi has it: its Python, numpy and Pillow; the runtime in opt/site
#   qemu-aarch64     the emulator
# Packages are unpacked, never configured, so nothing is emulated while building and half a minute is enough.
# Takes PYTHON (its pip fetches the wheels) and EDGE_TESTBED_CACHE from the environment. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=debian.sh
. "$here/debian.sh"

python=${PYTHON:-python3}
cache=${EDGE_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/edge-classify/testbed}
recipe=$(sha256sum <"$0")

say() { echo "arm-root: $*" >&2; }

# unpack SUITE ARCHITECTURE FOLDER PACKAGES
unpack() {
    run 600 mmdebstrap --quiet --mode=root --variant=extract --architectures="$2" --include="$4" \
        --aptopt="$new/apt.conf" --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' "$1" "$3" ${mirror:+"$mirror"} >&2
}

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
root=$new/bookworm-arm64
mirror=$(debian_mirror)
[ -n "$mirror" ] || say "apt knows no Debian mirror here (apt-get update makes it known); taking mmdebstrap's own default"
apt_settings >"$new/apt.conf"

say "unpacking the emulator"
# bookworm's own qemu-user (7.2) computes int8 wrongly and crashes some runtimes; trixie's 10.0 does neither.
unpack trixie "$(dpkg --print-architecture)" "$new/trixie" qemu-user
mv "$new/trixie/usr/bin/qemu-aarch64" "$new/qemu-aarch64"
rm -rf --one-file-system "$new/trixie"

say "unpacking bookworm for arm64"
unpack bookworm arm64 "$root" python3,python3-numpy,python3-pil,libc-bin,coreutils,dash
# The alternatives that configuring numpy's libraries would have set.
ln -s blas/libblas.so.3 lapack/liblapack.so.3 "$root/usr/lib/aarch64-linux-gnu/"

say "fetching the runtime"
run 300 "$python" -m pip install --quiet --no-deps --only-binary :all: --platform manylinux_2_34_aarch64 \
    --python-version 3.11 --implementation cp --abi cp311 --target "$root/opt/site" \
    tflite-runtime==2.14.0 flatbuffers >&2

say "trying it"
run 120 env -i PYTHONPATH=/opt/site proot -q "$new/qemu-aarch64" -r "$root" -b /dev -b /proc -w / \
    /usr/bin/python3 -c 'import flatbuffers, numpy, PIL.Image, tflite_runtime.interpreter; print("it works")' >"$new/trial"
[ "$(cat "$new/trial")" = 'it works' ] # proot gives 0 when its program crashes

# From here the old is gone and the new is not yet vouched for; the recipe goes in last.
rm -rf --one-file-system "$cache/recipe" "$cache/bookworm-arm64" "$cache/qemu-aarch64"
mv "$new/qemu-aarch64" "$root" "$cache/"
echo "$recipe" >"$cache/recipe"
say "built $cache"
echo "$cache"
