# shellcheck shell=sh disable=SC2034,SC2154
# Sourced by install.sh: what the machine must be and have. All that can be known to fail is found here, before anything is
# changed. Takes offline, no_service, packaged, dry_run and work from there; sets architecture and release.

space_needed_mb=400 # a virtual environment with ai-edge-litert takes about 150, and the last one stays beside it

check_machine() {
    require_root
    for program in dpkg apt-get flock; do
        command -v $program >/dev/null || fail "$program: not found; install.sh is for Raspberry Pi OS and Debian"
    done
    [ -n "$no_service" ] || systemd_runs ||
        fail 'systemd does not run here (a container, WSL?); install.sh --no-service installs the commands without the service'
    check_release
    check_places
    [ "$(stat -f -c %T / 2>/dev/null)" != overlayfs ] || [ -n "$no_service" ] ||
        say '/ is an overlay: all of this is lost at the next boot; sudo raspi-config nonint disable_overlayfs, then reboot first'
}

check_release() {
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
    architecture=$(dpkg --print-architecture)
    case $release in
    bookworm | trixie) ;;
    buster | bullseye) fail "$release is too old (Python 3.11 is needed); install Raspberry Pi OS bookworm or trixie" ;;
    *) say "$release: not tested on this release; continuing" ;;
    esac
    [ "$(uname -m)" != armv6l ] ||
        fail 'this processor is an ARMv6, and no TFLite runtime exists for it; use a Pi Zero 2, a Pi 2 or newer'
    case $architecture/$release in
    amd64/* | arm64/* | armhf/bookworm) ;;
    armhf/*) fail "no TFLite runtime exists for 32-bit $release; install the 64-bit system, or 32-bit bookworm" ;;
    *) fail "no TFLite runtime exists for $architecture; use a 64-bit ARM or x86-64 system" ;;
    esac
}

check_places() {
    set -- "$opt" "${config%/*}"
    [ -n "$no_service" ] || set -- "$@" "${unit%/*}" "$state"
    for place; do
        folder=$(nearest_folder "$place")
        [ -n "$dry_run" ] || [ -w "$folder" ] ||
            fail "$folder: cannot be written (a read-only file system?); sudo mount -o remount,rw $(stat -c %m "$folder"), then run this again"
    done
    free_mb=$(($(df -Pk "$(nearest_folder "$opt")" | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free_mb" -ge "$space_needed_mb" ] ||
        fail "$opt: $free_mb MB are free and $space_needed_mb are needed; make room (sudo apt-get clean)"
}

# A folder to work in beside what is installed: /tmp may be full, or a share of the memory. The lock is held, so that what
# is left there is from a run that was killed.
make_work() {
    if [ -n "$dry_run" ]; then
        work=$(mktemp -d)
        return
    fi
    mkdir -p "$opt" || fail "$opt: cannot be made; see above"
    rm -rf --one-file-system -- "$opt"/.work.*
    work=$(mktemp -d "$opt/.work.XXXXXX") || fail "$opt: cannot be written; see above"
    chmod 755 "$work" # the check runs as the service's user
}

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ]; }

not_installed() {
    for package; do is_installed "$package" || echo "$package"; done
}

has_picamera2() { is_installed python3-picamera2 || apt-cache show python3-picamera2 >/dev/null 2>&1; }

# apt COMMAND...: without recommends, which would bring a desktop; rather nothing than to remove what others need. Its output
# is in $work/apt.
apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-remove --no-install-recommends -o DPkg::Lock::Timeout=300 \
        ${offline:+--no-download} "$@" >"$work/apt" 2>&1 </dev/null
}

show_apt_errors() { cat -- "$work"/dpkg "$work/apt" 2>/dev/null | grep -iE '^[EW]:|error|unable|no space' | head -n 5 >&2 || :; }

# damaged_packages: those that dpkg itself calls damaged or unfinished; it lists each after a space.
damaged_packages() { dpkg --audit 2>/dev/null | sed -n 's/^ \([^ ]*\).*/\1/p' | sort -u | xargs; }

is_dpkg_whole() { [ -z "$(damaged_packages)$(find /var/lib/dpkg/updates -name '[0-9]*' 2>/dev/null)" ]; }

# After a power cut or a kill while dpkg worked, apt installs nothing. Packages may be unpacked and not configured, which dpkg
# finishes, or half unpacked, or without their list of files: apt takes these from their archives. A dpkg that has outlived
# its apt holds the lock; only apt waits for that, hence the second time.
finish_dpkg() {
    if is_dpkg_whole; then return 0; fi
    step 'finishing an interrupted run of dpkg' || return 0
    for attempt in 1 2 3; do
        DEBIAN_FRONTEND=noninteractive dpkg --configure --pending >"$work/dpkg" 2>&1 </dev/null || :
        is_dpkg_whole || apt --fix-broken install || :
        damaged=$(damaged_packages)
        # shellcheck disable=SC2086  # a list of words
        [ -z "$damaged" ] || apt --reinstall install $damaged || :
        if is_dpkg_whole; then return 0; fi
    done
    show_apt_errors
    say "dpkg could not finish $(damaged_packages), see above; sudo dpkg --configure -a; sudo apt-get --fix-broken install; going on"
}

# picamera2 is in Raspberry Pi's archive only.
install_packages() {
    [ -n "$packaged" ] || finish_dpkg
    missing=$(not_installed python3 python3-venv python3-numpy python3-pil)
    if [ -n "$packaged" ]; then
        [ -z "$missing" ] || fail "not installed: $missing; sudo apt-get --fix-broken install"
        return
    fi
    if [ -n "$missing" ] && [ -z "$offline" ] && step 'apt-get update'; then
        apt-get -qq update || say 'apt-get update failed; continuing with the package lists that apt has'
    fi
    if [ -z "$no_service" ] && has_picamera2; then
        missing="$missing $(not_installed python3-picamera2)"
    elif [ -z "$no_service" ]; then
        say 'apt has no python3-picamera2 (Raspberry Pi OS has it): ribbon-cable cameras cannot be used'
    fi
    missing=$(echo "$missing" | xargs)
    [ -n "$missing" ] || return 0
    step "installing with apt: $missing" || return 0
    mkdir -p "$record"
    echo "$missing" >>"$record/apt"
    # shellcheck disable=SC2086  # a list of words
    apt install $missing || {
        show_apt_errors
        fail "apt could not install $missing; see above, then run this again${offline:+ (with --offline, install them first)}"
    }
}

# make_groups NAME...: systemd starts no service whose group does not exist.
make_groups() {
    for group; do
        getent group "$group" >/dev/null && continue
        step "adding the group $group" || continue
        groupadd --system "$group"
        mkdir -p "$record"
        echo "$group" >>"$record/groups"
    done
}

# systemd keeps the state of a dynamic user below private/, and a link to it. A backup that was restored over the link is a
# folder, beside which the unit does not start (238/STATE_DIRECTORY). Alone, systemd moves it; what both hold is the user's
# to choose from, and the restored one is what was wanted.
repair_state() {
    if [ -L "$state" ] || [ ! -d "$state" ] || [ ! -d "$private_state" ]; then return 0; fi
    if rmdir -- "$private_state" 2>/dev/null; then return 0; fi
    aside=$private_state.$(date +%Y%m%d-%H%M%S)
    step "$state was restored as a folder: it becomes the service's state again, and what was in $private_state is kept in $aside" ||
        return 0
    systemctl stop "$unit_name" 2>/dev/null || :
    mv -- "$private_state" "$aside"
    mv -- "$state" "$private_state"
    ln -s -- private/edge-classify "$state"
}
