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
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$here/build.sh"

python=${PYTHON:-python3}
build_in "$cache" "$0"
root=$new/bookworm-arm64

say "unpacking the emulator"
# bookworm's own qemu-user (7.2) computes int8 wrongly and crashes some runtimes; trixie's 10.0 does neither.
unpack 600 trixie "$new/trixie" --variant=extract --include=qemu-user
mv "$new/trixie/usr/bin/qemu-aarch64" "$new/qemu-aarch64"
rm -rf --one-file-system "$new/trixie"

say "unpacking bookworm for arm64"
unpack 600 bookworm "$root" --variant=extract --architectures=arm64 \
    --include=python3,python3-numpy,python3-pil,libc-bin,coreutils,dash
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

built qemu-aarch64 bookworm-arm64
