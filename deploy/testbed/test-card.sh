#!/bin/sh
# Do the README's commands take a blank card to a live service? test-card.sh [SUITE...]
# Debian of each suite (bookworm and trixie, where none is named) boots in a container that shares this machine's network.
# In it the commands of the README and of docs/device.md run as they stand: apt brings git, the checkout is cloned, and
# install.sh builds the package and classifies a folder. A container has no camera: what the service says of that is looked
# at as well.
# Run as root, from the root of the repository, whose last commit is what is cloned.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=needs.sh
. "$here/needs.sh"
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$here/container.sh"

limit=1800 # seconds for one suite; usual is a tenth

check_prerequisites() {
    need_containers
    need_command git git
    "$python" -c 'import PIL' 2>/dev/null || need "$python has no Pillow: make test-card brings it"
    nothing_is_missing
}

# commands FILE TEXT: the first block of commands after a line that begins so; the repository's address and the endless look
# at the results replaced.
commands() {
    awk -v text="$2" 'index($0, text) == 1 { found = 1 } found && /^```/ { if (++fences == 2) exit; next } fences' "$1" |
        sed -e 's|REPOSITORY|/payload/edge-classify.git|' -e 's|^sudo tail -F [^ ]*|timeout 5 & \|\| [ $? = 124 ]|'
}

# take NAME COUNT FILE TEXT: writes the commands for the trial, of which there must be so many.
take() {
    commands "$3" "$4" >"$payload/$1"
    [ "$(grep -c . "$payload/$1")" = "$2" ] || {
        say "$3: must have $2 commands under \"$4\". Received: $(cat "$payload/$1")"
        exit 1
    }
}

make_payload() {
    git clone --quiet --bare . "$payload/edge-classify.git"
    take commands 4 README.md 'From a blank card'
    take back 2 docs/device.md '## Upgrade, and go back'
    take pictures 2 docs/device.md '## See the images'
    take backup 3 docs/device.md '## Back up'
    take restore 3 docs/device.md '## Restore'
    take remove 1 docs/device.md '## Remove'
    commands docs/device.md '## With Ansible' >"$payload/playbook.yml"
    commands docs/device.md 'An image with the commands' >"$payload/Containerfile"
    say 'building the wheel'
    run 300 "$python" -m pip wheel --quiet --no-deps --wheel-dir "$payload/dist" . >&2
    draw_frames
    cp -- "$here/card-trial.sh" "$payload/"
}

# This machine's way to the package registries, as far as it has one of its own.
share_network() {
    for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        [ ! -e "$file" ] || install -D -m 644 "$file" "$root$file"
    done
    apt-config dump | grep -E '^Acquire::(https?::|Check-|ForceIPv|Retries)' >"$root/etc/apt/apt.conf.d/90card" || :
}

prepare_root() {
    rm -rf --one-file-system "$root"
    cp -a -- "$cache/root" "$root"
    share_network
    echo card >"$root/etc/hostname"
    echo "127.0.1.1 card" >>"$root/etc/hosts"
    add_trial "$root" card-trial.sh
}

try_suite() {
    run 1800 "$here/card-root.sh" "$1" >"$work/cache"
    cache=$(cat "$work/cache")
    payload=$work/payload-$1
    mkdir "$payload"
    make_payload
    prepare_root
    try_container "$1" "$limit" "$root" --resolv-conf=replace-host --timezone=off || failed=yes
}

check_prerequisites || exit 1
begin :
root=$work/root failed=''
[ $# -gt 0 ] || set -- bookworm trixie
for suite; do try_suite "$suite"; done
[ -z "$failed" ]
