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
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$here/container.sh"

python=${PYTHON:-python3}
limit=1800 # seconds for one suite; usual is a tenth

say() { echo "test-card: $*" >&2; }

check_prerequisites() {
    missing=0
    need() {
        say "$*"
        missing=1
    }
    [ "$(id -u)" = 0 ] || need 'must run as root: a container is booted (sudo make test-card)'
    command -v systemd-nspawn >/dev/null || need 'systemd-nspawn is not installed: apt-get install systemd-container'
    command -v mmdebstrap >/dev/null || need 'mmdebstrap is not installed: apt-get install mmdebstrap'
    command -v git >/dev/null || need 'git is not installed: apt-get install git'
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
        need "Debian's archive keys are not installed: apt-get install debian-archive-keyring"
    "$python" -c 'import PIL' 2>/dev/null || need "$python has no Pillow: make test-card brings it"
    [ -e pyproject.toml ] || need 'must run from the root of the repository'
    [ "$missing" = 0 ]
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
    take pictures 2 docs/device.md '## See the pictures'
    take backup 3 docs/device.md '## Back up'
    take restore 3 docs/device.md '## Restore'
    take remove 1 docs/device.md '## Remove'
    run 60 "$python" "$here/pictures.py" "$payload/frames" --photo tests/data/hotdog.jpg >&2
    cp -- "$here/card-trial.sh" "$payload/"
    : >"$payload/answers"
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
    mkdir -p "$root/payload"
    share_network
    echo card >"$root/etc/hostname"
    echo "127.0.1.1 card" >>"$root/etc/hosts"
    add_trial "$root" card-trial.sh
}

remove_work() { rm -rf --one-file-system "$work"; }

try_suite() {
    run 1800 "$here/card-root.sh" "$1" >"$work/cache"
    cache=$(cat "$work/cache")
    payload=$work/payload-$1
    mkdir "$payload"
    make_payload
    prepare_root
    say "booting $1 (at most $limit s)"
    ended=0
    run "$limit" systemd-nspawn --quiet --boot --directory="$root" --register=no --keep-unit \
        --resolv-conf=replace-host --timezone=off --bind="$payload:/payload" </dev/null >"$work/console" 2>&1 || ended=$?
    sed "s/^/$1: /" "$payload/answers"
    if ! grep -q '^done' "$payload/answers" || grep -q '^FAIL' "$payload/answers"; then
        cat "$payload/trial.log" >&2 || tail -n 20 "$work/console" >&2
        say "$1: failed (exit status of the container $ended)"
        exit 1
    fi
}

check_prerequisites || exit 1
work=$(mktemp -d)
root=$work/root
on_end remove_work
[ $# -gt 0 ] || set -- bookworm trixie
for suite; do try_suite "$suite"; done
