#!/bin/sh
# Is the Debian package installed, upgraded, removed and purged cleanly? test-deb.sh [SUITE...]
# Packages of this checkout, of a version that follows it and of one that does not start are built; Debian of each suite
# (bookworm and trixie, where none is named) boots in a container without a network, and apt does the rest. One line a check;
# what is tried is in deb-trial.sh. lintian must be silent.
# Run as root, from the root of the repository; PYTHON names an interpreter whose pip builds the wheel.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=needs.sh
. "$here/needs.sh"
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$here/container.sh"

limit=900 # seconds for one suite; usual is a tenth

check_prerequisites() {
    need_containers
    need_x86_64 'boots an x86-64 system'
    need_pip
    need_command lintian '--no-install-recommends lintian'
    nothing_is_missing
}

# package WHEEL FOLDER: of that wheel, which names the version, into $payload/FOLDER.
package() {
    mkdir "$work/$2"
    cp -r deploy CHANGELOG.md "$work/$2/"
    PYTHON=$python run 300 "$work/$2/deploy/deb/build.sh" --wheel "$1" --wheels "$cache/wheels" amd64 >&2
    mv "$work/$2/dist" "$payload/$2"
}

make_payload() {
    fill_payload
    other_version 9.9.4 exit
    other_version 9.9.5 none
    package "$payload"/new/edge_classify-*.whl this
    package "$payload"/edge_classify-9.9.5-*.whl next
    package "$payload"/edge_classify-9.9.4-*.whl faulty
    cp -- "$here/trial.sh" "$here/deb-trial.sh" "$payload/"
    echo "full=''" >"$payload/settings"
}

try_suite() {
    case $1 in bookworm) root=root ;; *) root=$1 ;; esac
    cp -a -- "$cache/$root" "$work/$1"
    add_trial "$work/$1" deb-trial.sh
    say "booting $1 (at most $limit s)"
    boot_container "$limit" "$work/$1" --private-network
    sed "s/^/$1: /" "$payload/answers"
    if ! grep -q '^done' "$payload/answers" || grep -q '^FAIL' "$payload/answers"; then
        cat "$payload/trial.log" >&2 || tail -n 20 "$work/console" >&2
        say "$1: failed (exit status of the container $ended)"
        failed=yes
    fi
}

check_prerequisites || exit 1
failed=''
begin :
[ $# -gt 0 ] || set -- bookworm trixie
PYTHON=$python run 1800 "$here/service-root.sh" >"$work/cache"
cache=$(cat "$work/cache")
make_payload
if run 300 lintian --fail-on warning,error "$payload"/this/*.deb >&2; then
    echo 'ok   lintian is silent'
else
    echo 'FAIL lintian is silent'
    failed=yes
fi
for suite; do try_suite "$suite"; done
[ -z "$failed" ]
