#!/bin/sh
# Do the models answer on ARM as they do here, and do the commands work there? test-arm.sh [--check | [--quick] [MODEL.tflite...]]
# Ten pictures and the golden vectors, natively and in emulated Debian roots as a Pi has them: bookworm and trixie, 64- and
# 32-bit, with each runtime that there is for them, as a Pi 3 or Zero 2 (Cortex-A53), a Pi 5 (Cortex-A76), and for 32 bits,
# which no emulated A53 or A76 runs, a Pi 2 (Cortex-A7) and its larger sister (Cortex-A15). Then install.sh and the service
# on emulated machines that boot bookworm for arm64 and armhf and trixie for arm64, and the commands in each root.
# Each runtime is held to itself on x86-64: tflite-runtime to its reference kernels, which round as ARM's do (how far its
# usual ones are off is told beside it), ai-edge-litert to its usual ones.
# The models are those in the project's own wheel, and, without --quick, freshly converted ones of two, three and ten
# classes in every quantization; or those that are named. --quick: two roots, no machines, no commands. --check: whether this
# machine has what it takes.
# Run as root; PYTHON names an interpreter with the project installed. Exit status: 1 something differs or failed there, 2 it
# could not be tried.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=needs.sh
. "$here/needs.sh"

photos=${EDGE_TEST_DATA:-../shared}/hotdog/test
quick=''
# root, runtime, processors
quick_cells='bookworm-arm64 tflite cortex-a53 cortex-a76
trixie-arm64 litert cortex-a53 cortex-a76'
all_cells="$quick_cells
bookworm-arm64 litert cortex-a53 cortex-a76
bookworm-armhf tflite cortex-a7 cortex-a15"

check_prerequisites() {
    need_root 'unpacking a foreign root takes its privileges'
    need_x86_64 'compares ARM with x86-64'
    need_debian
    need_pip
    need_checkout
    unshare --user --map-root-user --mount mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null ||
        need 'this kernel keeps no programs'"'"' formats of a namespace'"'"'s own: boot Linux 6.7 or newer, with user namespaces'
    for module in tflite_runtime ai_edge_litert; do
        "$python" -c "import $module.interpreter" 2>/dev/null ||
            need "$python has no $module, which the answers here are made with: Python 3.11, $python -m pip install '.[litert]'"
    done
    if [ -z "$quick" ]; then
        need_command qemu-system-aarch64 qemu-system-arm
        need_command mke2fs e2fsprogs
    fi
    nothing_is_missing
}

# ask FOLDER MACHINE...: what the models in that folder of $work answer there, under $work/answers.
ask() { run 3600 "$python" "$here/ask.py" "$cache" "$work" "$@"; }

# machines RUNTIME: those of the cells.
machines() {
    echo "$cells" | while read -r root runtime processors; do
        [ "$runtime" = "$1" ] || continue
        for processor in $processors; do echo "$root-$runtime-$processor"; done
    done
}

# words WORD...: one of the commands that `all_of FILE` runs beside each other; FILE has one a line.
words() { printf '%s\n' "$@" | paste -s -; }
all_of() { PYTHON=$python run 9000 "$python" "$here/beside.py" "$1"; }

# Into $work/models those of two, three and ten classes, unless files were named; into $work/traps what must fail.
convert_all() {
    say 'converting models of two, three and ten classes, and traps'
    {
        for classes in $fresh; do words "$python" "$here/fresh_models.py" "$classes" "$work/models"; done
        words env TF_CPP_MIN_LOG_LEVEL=3 "$python" "$here/trap_model.py" "$work/traps"
    } >"$work/conversions"
    all_of "$work/conversions" >&2
}

# What TensorFlow's converter makes by itself, and tflite-runtime does not run on ARM, must be seen not to run, or none of the
# above says anything: one file crashes it there, and nowhere here; the other it does not load.
see_the_traps() {
    ask traps native-tflite bookworm-arm64-tflite-cortex-a53
    answers=$work/answers/bookworm-arm64-tflite-cortex-a53
    if [ "$(grep -c '"scores"' "$work/answers/native-tflite/per-channel.tflite.jsonl")" = 10 ] &&
        grep -q '"failure": "SIG' "$answers/per-channel.tflite.jsonl"; then
        echo 'ok     a model that crashes the runtime on ARM alone is seen to crash there, and its signal named'
    else
        echo 'FAILED a model that must crash the runtime on ARM, and not here, did otherwise'
        return 1
    fi
    if grep -q "\"failure\": .*FULLY_CONNECTED' version '12'" "$answers/version-12.tflite.jsonl"; then
        echo 'ok     a model with an operator that is too new is refused there, and the operator named'
    else
        echo 'FAILED a model with an operator that is too new did otherwise than be refused'
        return 1
    fi
}

# install.sh and the unit under the system's own systemd, on a machine of each kind; and the commands as a user has them, on
# the first processor of each root. The longest first.
try_machines_and_commands() {
    say 'trying the service on machines, and the commands in each root'
    {
        for wheel in "$work"/wheel/*.whl; do
            words "$here/arm-service.sh" "$wheel" bookworm arm64 "$cache/qemu-aarch64"
            words "$here/arm-service.sh" "$wheel" trixie arm64 "$cache/qemu-aarch64"
            words "$here/arm-service.sh" "$wheel" bookworm armhf "$cache/qemu-arm"
        done
        echo "$cells" | while read -r root runtime processor _; do
            words "$here/in-root.sh" "$cache" "$root" "$runtime" "$processor" "$work" \
                /bin/sh /trial/arm-commands.sh "$root" "$runtime"
        done
    } >"$work/trials"
    all_of "$work/trials"
}

# 1 says that something was found to be wrong. Where it could not be looked into, that is 2.
clean_up() {
    rm -rf --one-file-system "$work"
    if [ "$1" = 1 ] && [ -z "$judged" ]; then exit 2; fi
}

[ "${1:-}" != --quick ] || {
    quick=yes
    shift
}
check_prerequisites || exit 2
[ "${1:-}" != --check ] || exit 0
# shellcheck disable=SC3045  # dash and bash both know it
ulimit -c 0 # the emulator would leave its core in the cached root
judged=''
work=$(mktemp -d)
on_end clean_up
cells=$all_cells
[ -z "$quick" ] || cells=$quick_cells

PYTHON=$python run 1800 "$here/arm-roots.sh" >"$work/cache"
cache=$(cat "$work/cache")

say 'building the wheel'
run 300 "$python" -m pip wheel --quiet --no-deps -w "$work/wheel" . >&2 || {
    say 'the wheel could not be built, see above; pip fetches setuptools for it: is there a network?'
    exit 2
}
run 300 "$python" -m pip install --quiet --no-deps --target "$work/site" "$work"/wheel/*.whl >&2

mkdir "$work/models" "$work/traps"
fresh='10 3 2' # the longest first
if [ $# -gt 0 ]; then
    cp -- "$@" "$work/models/"
    fresh=''
else
    cp -- "$work"/site/edge/models/*.tflite "$work/models/"
fi
[ -n "$quick" ] || convert_all
cp -- "$here/answers.py" "$here/arm-commands.sh" "$work/"
run 300 "$python" "$here/pictures.py" "$work/pictures" --photos "$photos" --photo tests/data/hotdog.jpg

# shellcheck disable=SC2046  # lists of words
ask models reference-tflite native-tflite native-litert $(machines litert) $(machines tflite)
status=0
# shellcheck disable=SC2046  # lists of words
run 300 "$python" "$here/compare.py" "$work/answers" "$work/pictures" "$work/models" \
    --machines reference-tflite native-tflite $(machines tflite) \
    --machines native-litert $(machines litert) --told native-tflite || status=1
[ -n "$quick" ] || see_the_traps || status=1
[ -n "$quick" ] || try_machines_and_commands || status=1
judged=yes
[ "$status" = 0 ]
