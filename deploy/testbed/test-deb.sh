#!/bin/sh
# Is the Debian package installed, upgraded, removed and purged cleanly? test-deb.sh [SUITE[-arm64]...]
# Packages of this checkout, of a version that follows it and of one that does not start are built. Debian of each suite boots
# in a container without a network, or for arm64 on an emulated machine, and apt does the rest: bookworm, trixie,
# bookworm-arm64 and trixie-arm64, where none is named. One line a check; what is tried is in deb-trial.sh, where an emulated
# machine leaves out what takes long. lintian must be silent, and piuparts pass, for which apt needs a network.
# Run as root, from the root of the repository; PYTHON names an interpreter whose pip builds the wheel.
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

limit=1800         # seconds for one container; usual is a tenth
machine_limit=3600 # for a machine

check_prerequisites() {
    need_containers
    need_x86_64 'boots an x86-64 system'
    need_pip
    need_command lintian '--no-install-recommends lintian'
    need_command piuparts '--no-install-recommends piuparts'
    case " $* " in *-arm64*) need_command qemu-system-aarch64 qemu-system-arm ;; esac
    nothing_is_missing
}

# package FOLDER ARCHITECTURE WHEELS WHEEL: into $payload/FOLDER; WHEEL names the version, WHEELS is a folder of runtimes.
package() {
    rm -rf "$work/build" "${payload:?}/$1"
    mkdir "$work/build"
    cp -r deploy CHANGELOG.md "$work/build/"
    PYTHON=$python run 900 "$work/build/deploy/deb/build.sh" --wheel "$4" ${3:+--wheels "$3"} "$2" >&2
    mv "$work/build/dist" "$payload/$1"
}

# package_all ARCHITECTURE: as released, with wheels from the network, and two more versions with the same.
package_all() {
    package this "$1" '' "$payload"/new/edge_classify-*.whl
    rm -rf "$work/unpacked"
    dpkg-deb -x "$payload"/this/*.deb "$work/unpacked"
    package next "$1" "$work/unpacked/usr/lib/edge-classify/wheels" "$payload"/edge_classify-9.9.5-*.whl
    package faulty "$1" "$work/unpacked/usr/lib/edge-classify/wheels" "$payload"/edge_classify-9.9.4-*.whl
    judge "$1: lintian is silent" run 300 lintian --fail-on warning,error "$payload"/this/*.deb
}

# judge SENTENCE COMMAND...
judge() {
    sentence=$1
    shift
    if "$@" >"$work/judged" 2>&1; then
        echo "ok   $sentence"
    else
        echo "FAIL $sentence"
        tail -n 50 "$work/judged" >&2
        failed=yes
    fi
}

# The cached root without systemd running: install.sh --no-service, and what is left after a purge.
piuparts_passes() {
    run 1200 piuparts --existing-chroot="$cache/$root" --distribution="$1" --keep-sources-list \
        --no-check-valid-until --no-upgrade-test --skip-logrotatefiles-test --tmpdir="$work" "$payload"/this/*.deb
}

make_payload() {
    fill_payload
    other_version 9.9.4 exit
    other_version 9.9.5 none
    cp -- "$here/trial.sh" "$here/deb-trial.sh" "$payload/"
    cp -- "$here/deb-trial.sh" "$payload/machine-trial.sh"
}

try_container_of() {
    case $1 in bookworm) root=root ;; *) root=$1 ;; esac
    cp -a -- "$cache/$root" "$work/$1"
    add_trial "$work/$1" deb-trial.sh
    : >"$payload/settings"
    try_container "$1" "$limit" "$work/$1" --private-network || failed=yes
    judge "$1: piuparts passes" piuparts_passes "$1"
}

try_machine_of() {
    PYTHON=$python run 1800 "$here/arm-roots.sh" >"$work/emulators"
    build_machine "$1" arm64 "$(cat "$work/emulators")/qemu-aarch64"
    echo emulated=yes >"$payload/settings"
    boot_machine "$machine_limit"
    show_answers "$1 arm64" || failed=yes
}

# try_systems ARCHITECTURE SYSTEM...: those of them that are of it.
try_systems() {
    architecture=$1 built=''
    shift
    for system; do
        case $architecture/$system in arm64/*-arm64 | amd64/*[!4]) ;; *) continue ;; esac
        [ -n "$built" ] || package_all "$architecture"
        built=yes
        case $architecture in arm64) try_machine_of "${system%-arm64}" ;; *) try_container_of "$system" ;; esac
    done
}

[ $# -gt 0 ] || set -- bookworm trixie bookworm-arm64 trixie-arm64
check_prerequisites "$@" || exit 1
failed=''
begin :
PYTHON=$python run 1800 "$here/service-root.sh" >"$work/cache"
cache=$(cat "$work/cache")
make_payload
try_systems amd64 "$@"
try_systems arm64 "$@"
[ -z "$failed" ]
