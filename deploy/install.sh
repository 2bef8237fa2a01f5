#!/bin/sh
# Installs edge-watch as a service on Raspberry Pi OS or Debian; install.sh --help tells how.
# Nothing that runs is touched before the new version has passed its own check: it is built beside the last one, and a
# link is switched. Every step may be cut short or repeated; a second run finishes it, or finds nothing to do.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=places.sh
. "$here/places.sh"
# shellcheck source-path=SCRIPTDIR source=version.sh
. "$here/version.sh"

space_needed_mb=400 # a virtual environment with ai-edge-litert takes about 150, and the last one stays beside it
ready_limit_s=90    # a model is loaded and a frame is classified in far less, even on a Pi Zero 2
model='' wheel='' extras='' offline='' dry_run=''
at='' unfinished='' changed=''

usage() {
    cat <<END
usage: sudo deploy/install.sh [--model FILE] [--wheel FILE] [--with web,mqtt] [--offline DIR] [--dry-run]

Installs edge-watch as a service, or a new version of it, and starts it.

  --model FILE    classify with this .tflite file (default: the one that ships)
  --wheel FILE    the package (default: the newest edge_classify-*.whl in the --offline folder, beside this script or in
                  dist/; where there is none, it is built from this checkout)
  --with NAMES    optional parts: web (the live page, metrics), mqtt, or web,mqtt; they stay until --with none
  --offline DIR   no network: pip takes its packages from this folder, apt from what it has fetched already
  --dry-run       say what would be done, and change nothing

For Raspberry Pi OS and Debian: bookworm (64- and 32-bit) and trixie (64-bit). The system's own numpy and picamera2 are
used, and left as they are. The new version is checked before it takes over; where that fails, the last one stays.
$config is kept if you changed it. Run it again at any time.

  sudo deploy/install.sh                                   the shipped model
  sudo deploy/install.sh --model out/model-int8.tflite     yours
  sudo deploy/install.sh --with web,mqtt                   with a live page and MQTT, which $config switches on
  deploy/push.sh pi@raspberrypi.local                      from a workstation, over ssh
  journalctl -u edge-watch -f                              what it sees
  sudo $opt/current/deploy/uninstall.sh    remove it

Exit status: 0 done, 1 something failed (the last version stays), 2 wrong usage.
END
}

wrong() {
    say "$*; install.sh --help shows how"
    exit 2
}

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --model | --wheel | --with | --offline)
            [ -n "${2-}" ] || wrong "$1 must be followed by a value"
            ;;
        esac
        case $1 in
        --model) model=$2 && shift ;;
        --wheel) wheel=$2 && shift ;;
        --with) extras=$2 && shift ;;
        --offline) offline=$2 && shift ;;
        --dry-run) dry_run=yes ;;
        -h | --help) usage && exit ;;
        *) wrong "unknown option $1" ;;
        esac
        shift
    done
    [ -z "$model" ] || [ -f "$model" ] || wrong "--model $model: no such file"
    [ -z "$wheel" ] || [ -f "$wheel" ] || wrong "--wheel $wheel: no such file"
    [ -z "$offline" ] || [ -d "$offline" ] || wrong "--offline $offline: no such folder"
    [ -z "$offline" ] || offline=$(cd -- "$offline" && pwd)
    [ -n "$extras" ] || extras=$(cat "$record/with" 2>/dev/null || :)
    [ "$extras" != none ] || extras=''
    case $extras in '' | web | mqtt | web,mqtt | mqtt,web) ;;
    *) wrong "--with must be web, mqtt, web,mqtt or none. Received: $extras" ;;
    esac
}

# All that can be known to fail is found here, before anything is changed.
check_machine() {
    require_root
    for program in dpkg apt-get systemctl; do
        command -v $program >/dev/null || fail "$program: not found; this is for Raspberry Pi OS and Debian"
    done
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
    architecture=$(dpkg --print-architecture)
    case $release in
    bookworm | trixie) ;;
    buster | bullseye) fail "$release is too old (Python 3.11 is needed); install Raspberry Pi OS bookworm or trixie" ;;
    *) say "$release: not tried on this release; going on" ;;
    esac
    [ "$(uname -m)" != armv6l ] ||
        fail 'this processor is an ARMv6, and no TFLite runtime exists for it; use a Pi Zero 2, a Pi 2 or newer'
    case $architecture/$release in
    amd64/* | arm64/* | armhf/bookworm) ;;
    armhf/*) fail "no TFLite runtime exists for 32-bit $release; install the 64-bit system, or 32-bit bookworm" ;;
    *) fail "no TFLite runtime exists for $architecture; use a 64-bit ARM or x86-64 system" ;;
    esac
    free_mb=$(($(df -Pk "$(nearest_folder "$opt")" | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free_mb" -ge "$space_needed_mb" ] ||
        fail "$opt: $free_mb MB are free and $space_needed_mb are needed; make room (sudo apt-get clean)"
}

nearest_folder() {
    folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname -- "$folder"); done
    echo "$folder"
}

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ]; }

not_installed() {
    for package; do is_installed "$package" || echo "$package"; done
}

# Without recommends: they would bring a desktop. picamera2 is in Raspberry Pi's archive only.
install_packages() {
    missing=$(not_installed python3 python3-venv python3-numpy python3-pil)
    if [ -n "$missing" ] && [ -z "$offline" ] && step 'asking apt what there is'; then
        apt-get -qq update || say 'apt-get update failed; going on with what apt knew before'
    fi
    if apt-cache show python3-picamera2 >/dev/null 2>&1; then
        missing="$missing $(not_installed python3-picamera2)"
    elif ! is_installed python3-picamera2; then
        say 'python3-picamera2 is not in the archive (Raspberry Pi OS has it): a folder of frames is the only source'
    fi
    missing=$(echo "$missing" | xargs)
    [ -n "$missing" ] || return 0
    step "installing with apt: $missing" || return 0
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends -o DPkg::Lock::Timeout=300 \
        ${offline:+--no-download} install $missing >"$work/apt" 2>&1 </dev/null || {
        grep -iE '^[EW]:|error|unable' "$work/apt" | head -n 5 >&2
        fail "apt could not install $missing; see above, then run this again${offline:+ (with --offline, install them first)}"
    }
    mkdir -p "$record"
    echo "$missing" >>"$record/apt"
}

# systemd starts no service whose group does not exist.
make_groups() {
    for group in video render; do
        getent group $group >/dev/null && continue
        step "adding the group $group" || continue
        groupadd --system $group
        mkdir -p "$record"
        echo $group >>"$record/groups"
    done
}

# The model that the configuration in place names; empty for the shipped one.
configured_model() { sed -n 's/^model = "\(.*\)"$/\1/p; /^\[/q' "$config" 2>/dev/null || :; }

# The default configuration, with the model that is in use.
render_config() {
    chosen=$(configured_model)
    [ -z "$model" ] || chosen=$model_place
    sed "${chosen:+s|^#model = .*|model = \"$chosen\"|}" "$here/watch.toml"
}

user_changed_config() { [ -e "$config" ] && ! is_as_recorded "$config"; }

# With what it will run with: the user's configuration, or the new default; the new model, before it lies in place.
check_version() {
    step "checking it" || return 0
    candidate=$work/watch.toml
    if user_changed_config; then candidate=$config; fi
    timeout 300 "$target/bin/edge-watch" --check --config "$candidate" ${model:+--model "$model"} >&2 </dev/null || {
        last=$(in_place)
        fail "${target##*/} did not pass its check, see above; ${last:-nothing} stays in place"
    }
    unfinished=''
}

# put SOURCE PLACE: whole or not at all.
put() {
    install -D -m 644 -- "$1" "$2.new"
    mv -- "$2.new" "$2"
}

put_recorded() {
    mkdir -p "$record"
    hash_of "$1" >"$record/${2##*/}.sha256"
    put "$1" "$2"
}

# The scripts stay with the version: uninstall.sh is to be found long after what was pushed is gone.
keep_scripts() {
    [ -z "$dry_run" ] || return 0
    for file in $(cat "$here/files") files; do
        cmp -s -- "$here/$file" "$target/deploy/$file" || put "$here/$file" "$target/deploy/$file"
    done
    chmod 755 "$target"/deploy/*.sh
}

# What is in place now, should the new version not start.
keep_last() {
    [ -z "$dry_run" ] || return 0
    last=$(in_place)
    mkdir -p "$record" "$work/last"
    cp -r -- "$record" "$work/last/"
    for file in "$config" "$unit" "$network" "$model_place"; do
        if [ -e "$file" ]; then cp -p -- "$file" "$work/last/"; fi
    done
}

go_back() {
    for file in "$config" "$unit" "$network" "$model_place"; do
        if [ -e "$work/last/${file##*/}" ]; then put "$work/last/${file##*/}" "$file"; else rm -f -- "$file"; fi
    done
    rm -rf -- "$record"
    cp -r -- "$work/last/record" "$record"
    systemctl daemon-reload
    switch_link "$last"
}

put_model() {
    [ -n "$model" ] || return 0
    if cmp -s -- "$model" "$model_place"; then return 0; fi
    changed=yes
    step "putting the model in place: $model_place" || return 0
    put_recorded "$model" "$model_place"
}

# As dpkg treats its configuration files: what the user changed stays, and the new default is put beside it.
put_config() {
    if cmp -s -- "$work/watch.toml" "$config"; then
        if [ -z "$dry_run" ]; then put_recorded "$work/watch.toml" "$config"; fi
    elif ! user_changed_config; then
        changed=yes
        step "writing $config" || return 0
        put_recorded "$work/watch.toml" "$config"
    else
        say "$config: you changed it, and it is kept"
        if [ -n "$model" ] && [ "$(configured_model)" != "$model_place" ]; then
            say "$config: names another model; set model = \"$model_place\" in it, then sudo systemctl restart edge-watch"
        fi
        if [ "$(cat "$record/default" 2>/dev/null)" != "$(hash_of "$here/watch.toml")" ]; then
            step "putting the new default beside it: $config.dist" || return 0
            put_recorded "$here/watch.toml" "$config.dist"
        fi
    fi
    if [ -z "$dry_run" ]; then hash_of "$here/watch.toml" >"$record/default"; fi
}

put_unit() {
    if cmp -s -- "$here/$unit_name" "$unit"; then return 0; fi
    changed=yes
    step "writing $unit" || return 0
    put "$here/$unit_name" "$unit"
    systemctl daemon-reload
}

# The unit's share of the network, where a part needs one; and the secrets that it may be given.
put_network() {
    case ,$extras, in
    *,web,* | *,mqtt,*)
        put_secret "$web_token" "$(od -An -tx1 -N16 /dev/urandom | tr -d ' ')"
        put_secret "$mqtt_password" ''
        if cmp -s -- "$here/network.conf" "$network"; then return 0; fi
        changed=yes
        step "writing $network" || return 0
        put "$here/network.conf" "$network"
        ;;
    *)
        if [ ! -e "$network" ]; then return 0; fi
        changed=yes
        step "removing $network" || return 0
        rm -f -- "$network"
        rmdir -- "${network%/*}" 2>/dev/null || : # it may hold the user's own
        ;;
    esac
    systemctl daemon-reload
}

# put_secret FILE TEXT: root's alone to read; one that is there stays.
put_secret() {
    if [ -e "$1" ]; then return 0; fi
    step "writing $1" || return 0
    mkdir -p "${1%/*}" "$record"
    (umask 077 && echo "$2" >"$1.new")
    hash_of "$1.new" >"$record/${1##*/}.sha256"
    mv -- "$1.new" "$1"
}

# What is left to do by hand: a page or a broker that nobody asked for is a surprise.
tell_parts() {
    case ,$extras, in *,web,*)
        grep -q '^listen = ' "$config" ||
            say "the live page is off: set listen under [web] in $config (its token: $web_token), then sudo systemctl restart edge-watch"
        ;;
    esac
    case ,$extras, in *,mqtt,*)
        grep -q '^url = ' "$config" ||
            say "MQTT is off: set url under [mqtt] in $config (its password: $mqtt_password), then sudo systemctl restart edge-watch"
        ;;
    esac
}

put_rule() {
    if [ -e "$rule" ] || grep -qs 'SUBSYSTEM=="dma_heap"' /usr/lib/udev/rules.d/*.rules /etc/udev/rules.d/*.rules; then return; fi
    step "writing $rule (the system has no rule for the camera's memory)" || return 0
    put "$here/${rule##*/}" "$rule"
    udevadm control --reload 2>/dev/null || : # no udev runs in a container
    udevadm trigger --subsystem-match=dma_heap 2>/dev/null || :
}

# switch_link versions/NAME: in one step.
switch_link() {
    if [ "$(in_place)" = "$1" ]; then return 0; fi
    changed=yes
    step "switching $opt/current to ${1##*/}" || return 0
    ln -sfn -- "$1" "$opt/current.new"
    mv -T -- "$opt/current.new" "$opt/current"
}

property() { systemctl show --property "$1" --value "$unit_name"; }

# Starts it, and waits until systemd calls it ready. A service that waits for its camera is ready too, and says so.
start() {
    systemctl stop "$unit_name"
    systemctl reset-failed "$unit_name" 2>/dev/null || :
    since=$(date '+%Y-%m-%d %H:%M:%S')
    systemctl start --no-block "$unit_name"
    waited=0
    while [ "$waited" -lt "$ready_limit_s" ]; do
        case $(property ActiveState)/$(property SubState) in
        active/*) return 0 ;;
        failed/* | */auto-restart) break ;;
        esac
        sleep 1
        waited=$((waited + 1))
    done
    ended=$(property Result)/$(property ExecMainStatus) # before systemd tries again
    journalctl --quiet --no-pager --output=cat --since "$since" --unit "$unit_name" | tail -n 5 >&2
    return 1
}

# The new version has passed its check. Exit status 1 is then its source's fault, which the last version would share: it
# is reported, and systemd tries again. Whatever else keeps it from starting is the version's own.
start_or_go_back() {
    if [ -z "$changed" ] && systemctl --quiet is-active "$unit_name"; then
        say 'nothing to do: it is in place'
        return
    fi
    step 'starting it' || return 0
    systemctl --quiet enable "$unit_name"
    if start; then return; fi
    if [ "$ended" = exit-code/1 ]; then
        say 'it cannot work yet, see above; systemd tries again every 10 seconds'
        return
    fi
    if [ -z "$last" ] || [ "$last" = "$(in_place)" ]; then
        fail 'it did not start, see above; journalctl -u edge-watch tells more'
    fi
    say "it did not start, see above; going back to ${last##*/}"
    go_back
    start || fail 'the last version did not start either; journalctl -u edge-watch tells more'
    fail "${last##*/} runs again; journalctl -u edge-watch tells what is wrong with the new one"
}

# All but the one in place and the one before it.
remove_old_versions() {
    for folder in "$opt"/versions/*/; do
        name=versions/$(basename -- "$folder")
        case $name in "$(in_place)" | "$last" | 'versions/*') continue ;; esac
        step "removing an old version: ${name##*/}" || continue
        rm -rf -- "${opt:?}/$name"
    done
}

clean_up() {
    status=$?
    trap - EXIT
    rm -rf -- "$work"
    [ -z "$unfinished" ] || rm -rf -- "$unfinished"
    [ "$status" = 0 ] || [ -z "$at" ] || say "stopped while $at; mend what is said above, then run this again"
    exit "$status"
}

read_options "$@"
check_machine
one_at_a_time
work=$(mktemp -d)
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

install_packages
make_groups
find_wheel
name_version
build_version
render_config >"$work/watch.toml"
check_version
keep_scripts
last=$(in_place)
keep_last
put_model
put_rule
put_config
put_unit
put_network
switch_link "versions/${target##*/}"
start_or_go_back
remove_old_versions
if [ -z "$dry_run" ]; then
    status=$(property StatusText)
    mkdir -p "$record"
    echo "${extras:-none}" >"$record/with"
    tell_parts
    say "${target##*/} is $(property ActiveState)${status:+: $status}; journalctl -u edge-watch -f shows more"
fi
