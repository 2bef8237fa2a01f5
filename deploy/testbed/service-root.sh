#!/bin/sh
# Builds what the service is tried in, once, and prints the folder that holds it:
#   root/    Debian bookworm with systemd and an ssh server, and no Python: what a fresh card has. The packages that
#            install.sh asks apt for, a broker, gpiozero and pip, lie in apt's own cache, so that it is tried without a network
#   trixie/  Debian trixie with the same packages installed: what bookworm is after an upgrade in place
#   numpy2/  a numpy that does not fit bookworm's, as `pip install` puts it into /usr/local
#   wheels/  what pip is to fetch on the device, for the Python of bookworm, and the runtime for that of trixie
# Takes PYTHON (its pip fetches the wheels) and EDGE_TESTBED_CACHE from the environment. To build afresh, remove the folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$here/build.sh"

build_in "$cache/service" 2100 "$0"

say 'building bookworm with systemd (a minute)'
# The lists and the archives stay: in the container apt installs from them.
# shellcheck disable=SC2016  # mmdebstrap's shell fills it in
unpack 900 bookworm "$new/root" --variant=apt --architectures=amd64 --skip=cleanup/apt \
    --include=systemd,systemd-sysv,udev,dbus,openssh-server,sudo \
    --customize-hook='chroot "$1" apt-get clean' \
    --customize-hook='chroot "$1" apt-get install --yes -qq --download-only --no-install-recommends \
        python3-venv python3-numpy python3-pil python3-pip mosquitto mosquitto-clients python3-gpiozero' \
    --customize-hook='systemctl --root="$1" --quiet mask systemd-networkd.service systemd-resolved.service ssh.service'

say 'building trixie with systemd (a minute)'
# shellcheck disable=SC2016  # mmdebstrap's shell fills it in
unpack 900 trixie "$new/trixie" --variant=apt --architectures=amd64 \
    --include=systemd,systemd-sysv,udev,dbus,passwd,python3-venv,python3-numpy,python3-pil \
    --customize-hook='systemctl --root="$1" --quiet mask systemd-networkd.service systemd-resolved.service'

say 'fetching the wheels'
run 600 "$python" -m pip download --quiet --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 \
    --platform manylinux_2_34_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --platform any \
    --dest "$new/wheels" 'numpy<2' tflite-runtime==2.14.0 'ai-edge-litert>=2.1' flatbuffers \
    'tornado>=6.4' 'prometheus-client>=0.20' 'paho-mqtt>=2.0' 'apprise>=1.9' lgpio >&2
rm -f "$new"/wheels/numpy-* # the system's is to be used, and nothing else to be had
run 600 "$python" -m pip download --quiet --no-deps --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 \
    --dest "$new/numpy2" 'numpy>=2' >&2

# next PACKAGE: the same version for Python 3.13.
next() {
    file=$(basename -- "$new/wheels/$1"-*.whl)
    version=${file#"$1"-}
    run 600 "$python" -m pip download --quiet --no-deps --only-binary :all: --python-version 3.13 --implementation cp \
        --abi cp313 --platform manylinux_2_34_x86_64 --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
        --dest "$new/wheels" "$1==${version%%-*}" >&2
}
next ai_edge_litert
next ml_dtypes

built root trixie wheels numpy2
