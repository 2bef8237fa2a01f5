#!/bin/sh
# Do the models that ship answer on ARM as they do here? test-arm-quick.sh [MODEL.tflite...]
# Ten pictures and the golden vectors, natively and in an emulated bookworm root as a Pi 3 or Zero 2 (Cortex-A53) and a
# Pi 5 (Cortex-A76), all under tflite-runtime: this is the one that has crashed on ARM with a model that was well on x86-64.
# ARM is held to the reference kernels on x86-64, which round as it does; how far the usual ones are off is told beside it.
# Without arguments: the models in the project's own wheel. Run as root; PYTHON names an interpreter with the project installed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"

python=${PYTHON:-python3}
photos=${EDGE_TEST_DATA:-../shared}/hotdog/test
processors='cortex-a53 cortex-a76'
limit=180 # seconds for one model on one machine; usual is a few

say() { echo "test-arm-quick: $*" >&2; }

check_prerequisites() {
    missing=0
    need() {
        say "$*"
        missing=1
    }
    [ "$(id -u)" = 0 ] || need 'must run as root: unpacking a foreign root takes its privileges (sudo make test-arm-quick)'
    [ "$(uname -m)" = x86_64 ] || need "compares ARM with x86-64, and this machine is $(uname -m)"
    command -v mmdebstrap >/dev/null || need 'mmdebstrap is not installed: apt-get install mmdebstrap'
    command -v proot >/dev/null || need 'proot is not installed: apt-get install proot'
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
        need "Debian's archive keys are not installed: apt-get install debian-archive-keyring"
    "$python" -c 'import tflite_runtime.interpreter' 2>/dev/null ||
        need "$python has no tflite-runtime, which the answers here are made with: $python -m pip install . (Python 3.11 or older)"
    "$python" -m pip --version >/dev/null 2>&1 || need "$python has no pip: apt-get install python3-pip"
    [ -e pyproject.toml ] || need 'must run from the root of the repository'
    [ "$missing" = 0 ]
}

# ask MACHINE MODEL COMMAND...: keeps what the command answers, and how it ended if badly.
ask() {
    out=$work/answers/$1/$2.jsonl
    say "asking $2 on $1"
    shift 2
    mkdir -p "${out%/*}"
    ended=0
    run "$limit" "$@" >"$out" 2>"$out.err" || ended=$?
    case $ended in
    0) return ;;
    124) why="no end within $limit s" ;;
    *) if [ "$ended" -gt 128 ]; then why=SIG$(kill -l "$ended"); else why="exit status $ended"; fi ;;
    esac
    tail -n 5 "$out.err" >&2
    printf '\n{"failure": "%s"}\n' "$why" >>"$out"
}

# in_root PROCESSOR MODEL. The shell within is there for the exit status: proot itself gives 0 when its program crashes.
in_root() {
    # shellcheck disable=SC2016  # expanded within
    ask "$1" "$2" env -i PATH=/usr/bin:/bin PYTHONPATH="$work/site:/opt/site" QEMU_CPU="$1" \
        proot -q "$cache/qemu-aarch64" -r "$cache/bookworm-arm64" -b /dev -b /proc -b /sys -b "$work" -w / \
        /bin/sh -c '"$@"; exit $?' sh /usr/bin/python3 "$work/answers.py" "$work/models/$2" "$work"/pictures/*
}

# natively MACHINE MODEL [--reference]
natively() {
    ask "$1" "$2" env PYTHONPATH="$work/site" "$python" "$work/answers.py" ${3:+"$3"} "$work/models/$2" "$work"/pictures/*
}

remove_work() { rm -rf "$work"; }

check_prerequisites || exit 1
# shellcheck disable=SC3045  # dash and bash both know it
ulimit -c 0 # the emulator would leave its core in the cached root
work=$(mktemp -d)
on_end remove_work

PYTHON=$python run 1800 "$here/arm-root.sh" >"$work/cache"
cache=$(cat "$work/cache")

say 'building the wheel'
run 300 "$python" -m pip wheel --quiet --no-deps -w "$work/wheel" . >&2
run 300 "$python" -m pip install --quiet --no-deps --no-compile --target "$work/site" "$work"/wheel/*.whl >&2

if [ $# = 0 ]; then set -- "$work"/site/edge/models/*.tflite; fi
if [ ! -e "$1" ]; then
    say "no such model: ${1#"$work"/} (models that ship lie in models/)"
    exit 1
fi
mkdir "$work/models"
cp -- "$@" "$work/models/"
cp "$here/answers.py" "$work/"
run 300 "$python" "$here/pictures.py" "$work/pictures" --photos "$photos" --photo tests/data/hotdog.jpg

for model in "$work"/models/*; do
    natively reference "${model##*/}" --reference
    natively native "${model##*/}"
    for processor in $processors; do in_root "$processor" "${model##*/}"; done
done
# shellcheck disable=SC2086  # a list of words
run 300 "$python" "$here/compare.py" "$work/answers" "$work/pictures" "$work/models" \
    --machines reference native $processors --told native
