#!/bin/sh
# Builds what the emulated-ARM checks run in, once, and prints the folder that holds it:
#   bookworm-arm64/ bookworm-armhf/ trixie-arm64/  Debian as a Pi has it: its Python, numpy and Pillow. In opt/tflite and
#                                                  opt/litert of each the runtimes that there are for it, and flatbuffers
#   qemu-aarch64 qemu-arm                          the emulators
# Packages are unpacked, never configured, so nothing is emulated while building and a minute is enough.
# Takes PYTHON (its pip fetches the wheels) and EDGE_TESTBED_CACHE from the environment. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$here/build.sh"

build_in "$cache/arm" 1500 "$0" "$here/in-root.sh"

# unpack_root SUITE ARCHITECTURE TRIPLET
unpack_root() {
    root=$new/$1-$2
    say "unpacking $1 for $2"
    unpack 600 "$1" "$root" --variant=extract --architectures="$2" \
        --include=python3,python3-numpy,python3-pil,libc-bin,coreutils,dash
    for folder in bin lib sbin; do # trixie's packages count on them
        [ -e "$root/$folder" ] || ln -s "usr/$folder" "$root/$folder"
    done
    # The alternatives that configuring numpy's libraries would have set.
    ln -s blas/libblas.so.3 lapack/liblapack.so.3 "$root/usr/lib/$3/"
    mkdir -p "$root/proc" "$root/sys" "$root/trial"
}

# fetch RUNTIME PLATFORM PYTHON REQUIREMENT: into the last root.
fetch() {
    say "fetching $4 for it"
    run 300 "$python" -m pip install --quiet --no-deps --only-binary :all: --platform "$2" --platform any \
        --python-version "$3" --implementation cp --abi "cp$(echo "$3" | tr -d .)" --abi none --target "$root/opt/$1" \
        "$4" flatbuffers >&2 || no_packages "$4"
}

# compile: what configuring the last root would have, for its Python is of this one's version; else it is compiled at every
# start, under emulation. (Some files are for other versions.)
compile() { "$python" -m compileall -q -j 0 "$root/usr/lib/python3" "$root/usr/lib/python3.11" "$root/opt" >/dev/null 2>&1 || :; }

say 'unpacking the emulators'
# bookworm's own qemu-user (7.2) computes int8 wrongly and crashes some runtimes; trixie's 10.0 does neither.
unpack 600 trixie "$new/emulators" --variant=extract --include=qemu-user
mv "$new/emulators/usr/bin/qemu-aarch64" "$new/emulators/usr/bin/qemu-arm" "$new/"
rm -rf --one-file-system "$new/emulators"

unpack_root bookworm arm64 aarch64-linux-gnu
fetch tflite manylinux_2_34_aarch64 3.11 tflite-runtime==2.14.0
fetch litert manylinux_2_27_aarch64 3.11 'ai-edge-litert>=2.1'
compile
unpack_root bookworm armhf arm-linux-gnueabihf
fetch tflite manylinux_2_34_armv7l 3.11 tflite-runtime==2.14.0
compile
unpack_root trixie arm64 aarch64-linux-gnu
fetch litert manylinux_2_27_aarch64 3.13 'ai-edge-litert>=2.1'

built qemu-aarch64 qemu-arm bookworm-arm64 bookworm-armhf trixie-arm64
