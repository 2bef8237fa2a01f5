#!/bin/sh
# Does the service install, run and go on an ARM machine? arm-service.sh WHEEL SUITE ARCHITECTURE EMULATOR
# An emulated machine with Debian of that suite for that architecture starts its own kernel and systemd; install.sh is run
# in it without a network. One line a check; what is tried is in arm-trial.sh.
# Run as root by test-arm.sh, which says what must be installed; PYTHON names an interpreter with the project installed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=needs.sh
. "$here/needs.sh"
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$here/container.sh"
# shellcheck source-path=SCRIPTDIR source=arm-boot.sh
. "$here/arm-boot.sh"

wheel=$1 suite=$2 architecture=$3 emulator=$4
limit=1800 # seconds for the machine from power on to off; usual is a few minutes

begin :
build_machine "$suite" "$architecture" "$emulator"
mkdir "$payload/wheel"
cp -r deploy "$machine_cache/wheels" "$payload/"
cp -- "$wheel" "$payload/wheel/"
cp -- models/hotdog-small.tflite "$payload/"
install -m 755 "$here/arm-trial.sh" "$payload/machine-trial.sh"
draw_frames
boot_machine "$limit"
show_answers "$suite $architecture"
