# shellcheck shell=sh
# Sourced by the scripts beside it: how they speak, and what they need of this machine. All that is missing is said at once.

name=$(basename "$0" .sh)
python=${PYTHON:-python3}
missing=''

say() { echo "$name: $*" >&2; }

need() {
    say "$*"
    missing=yes
}

nothing_is_missing() { [ -z "$missing" ]; }

# need_command COMMAND PACKAGE
need_command() { command -v "$1" >/dev/null || need "$1 is not installed: apt-get install $2"; }

# need_root WHY
need_root() { [ "$(id -u)" = 0 ] || need "must run as root: $1 (sudo make $name)"; }

# need_x86_64 WHY
need_x86_64() { [ "$(uname -m)" = x86_64 ] || need "$1, and this machine is $(uname -m)"; }

need_checkout() { [ -e pyproject.toml ] || need 'must run from the root of the repository'; }

need_pip() { "$python" -m pip --version >/dev/null 2>&1 || need "$python has no pip: apt-get install python3-pip"; }

# To unpack a Debian.
need_debian() {
    need_command mmdebstrap mmdebstrap
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
        need "Debian's archive keys are not installed: apt-get install debian-archive-keyring"
}

need_containers() {
    need_root 'a container is booted'
    need_command systemd-nspawn systemd-container
    need_debian
    need_checkout
}
