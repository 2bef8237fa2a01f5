#!/bin/sh
# Removes what install.sh put on this machine; uninstall.sh --help names what is kept.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=places.sh
. "$here/places.sh"
# shellcheck source-path=SCRIPTDIR source=instance.sh
. "$here/instance.sh"

dry_run='' purge='' only=''
still_retained='' # a broker could not be reached: the note of what it holds stays

usage() {
    cat <<END
usage: sudo uninstall.sh [--instance NAME] [--purge] [--dry-run]

Removes the services: the units, $opt, the model that --model installed, caches, and $config if
you did not change it.

Files that you wrote, and images and results in $state, are kept and listed.

  --instance NAME  remove only this service of install.sh --instance
  --purge          remove what is kept, too
  --dry-run        print each step, and change nothing

Exit status: 0 done, 1 something failed, 2 wrong usage.
END
}

wrong() {
    say "$*; uninstall.sh --help shows how"
    exit 2
}

read_options() {
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
        --instance)
            [ -n "${1-}" ] || wrong '--instance must be followed by a name'
            check_instance_name "$1"
            only=$1
            shift
            ;;
        --purge) purge=yes ;;
        --dry-run) dry_run=yes ;;
        -h | --help) usage && exit ;;
        *) wrong "unknown option $option" ;;
        esac
    done
}

stop_service() {
    if [ ! -e "$unit" ] || [ -L "$unit" ]; then return 0; fi # a masked unit is the user's link
    step "stopping edge-watch, removing $unit" || return 0
    if systemd_runs; then
        systemctl --quiet disable --now "$unit_name"
        systemctl clean --what=cache --what=runtime "$unit_name" 2>/dev/null || : # nothing to clean is not a fault
    fi
    if ! is_as_recorded "$unit" && ! cmp -s -- "$here/$unit_name" "$unit"; then
        say "$unit: you changed it; it is kept as $unit.bak"
        cp -p -- "$unit" "$unit.bak"
    fi
    rm -f -- "$unit"
    for name in $our_dropins; do rm -f -- "$dropins/$name"; done
    rmdir -- "$dropins" 2>/dev/null || : # it may hold the user's own
    systemd_runs || return 0
    systemctl daemon-reload
    systemctl reset-failed "$unit_name" 2>/dev/null || :
}

# A broker keeps a device's retained messages; Home Assistant would show the device forever.
forget_device() {
    [ -e "$state/mqtt-retained.json" ] && [ -x "$opt/current/bin/edge-watch" ] || return 0
    step "removing this device from the MQTT broker" || return 0
    EDGE_INSTANCE=$instance timeout 30 "$opt/current/bin/edge-watch" --config "$config" --forget >&2 </dev/null && return
    [ -n "$purge" ] || still_retained=yes
    say "a broker may still hold messages of this device, see above${still_retained:+; $state/mqtt-retained.json names them}"
    say 'to remove one: mosquitto_pub -h HOST -t TOPIC -r -n'
}

remove_rule() {
    is_as_recorded "$rule" || cmp -s -- "$here/${rule##*/}" "$rule" || return 0
    step "removing $rule" || return 0
    rm -f -- "$rule"
    udevadm control --reload 2>/dev/null || : # no udev runs in a container
}

# remove_as_recorded FILE: unless the user changed it.
remove_as_recorded() {
    [ -n "$purge" ] || is_as_recorded "$1" || return 0
    [ -e "$1" ] || return 0
    step "removing $1" || return 0
    rm -f -- "$1"
}

# A configuration that stays may name the model.
remove_model() {
    for copy in "${model_place%/*}"/????????????; do # the service's own, each by its sha256
        case ${copy##*/} in *[!0-9a-f]*) continue ;; esac
        if [ -d "$copy" ] && step "removing $copy"; then rm -rf --one-file-system -- "$copy"; fi
    done
    if [ -e "$config" ] && [ -z "$purge" ] && grep -q "^model *= *\"$model_place\"" "$config"; then return 0; fi
    remove_as_recorded "$model_place"
}

# The service's user is a passing one: systemd keeps its folders below private/, and links to them. A link that leads
# elsewhere is the user's, and so is what it leads to.
remove_state() {
    place=$(readlink -f -- "$state" || :)
    case $place in "$state" | "$private_state" | '') ;;
    *)
        say "$state leads to $place, which stays"
        return
        ;;
    esac
    if [ -n "$purge" ]; then
        for folder in "$private_state" "$private_state".2* "$state"; do
            [ -e "$folder" ] || [ -L "$folder" ] || continue
            if step "removing $folder"; then rm -rf --one-file-system -- "$folder"; fi
        done
        return 0
    fi
    [ -z "$dry_run" ] || return 0
    [ -n "$still_retained" ] || rm -f -- "$state/mqtt-retained.json" # the service's own note of what the broker holds
    for folder in "${model_place%/*}" "$place"; do
        [ -z "$folder" ] || rmdir -- "$folder" 2>/dev/null || :
    done
    if [ -L "$state" ] && [ ! -e "$state" ]; then rm -f -- "$state"; fi
}

# Groups and packages that were not there before. apt knows whether something else needs a package by now.
give_back() {
    for group in $(recorded groups); do
        members=$(getent group "$group" | cut -d: -f4)
        if [ -n "$members" ]; then
            say "the group $group stays: $members"
        elif step "removing the group $group"; then groupdel "$group" || :; fi
    done
    packages=$(recorded apt)
    [ -n "$packages" ] || return 0
    step "marking as automatically installed: $packages" || return 0
    # shellcheck disable=SC2086  # a list of words
    apt-mark auto $packages >/dev/null || :
    say 'sudo apt-get autoremove removes those that nothing else needs'
}

tell_what_stays() {
    for place in "${config%/*}" "$state" "$dropins"; do
        if [ -e "$place" ]; then say "$place stays: $(find -L "$place" -type f | wc -l) files that are yours"; fi
    done
}

# remove_instance NAME: as the main service, but for what all share. In a subshell.
remove_instance() {
    use_instance "$1"
    if step "stopping $unit_name"; then
        if systemd_runs; then
            systemctl --quiet disable --now "$unit_name"
            systemctl clean --what=cache --what=runtime "$unit_name" 2>/dev/null || : # there may be nothing to clean
            systemctl reset-failed "$unit_name" 2>/dev/null || :
        fi
        for name in $our_dropins; do rm -f -- "$dropins/$name"; done
        rmdir -- "$dropins" 2>/dev/null || : # it may hold the user's own
    fi
    forget_device
    for file in "$config" "$config.dist" "$camera_password"; do remove_as_recorded "$file"; done
    remove_model
    [ -z "$purge" ] || remove_as_recorded "$config.bak"
    remove_state
    # Going back to the version before must not bring it back.
    [ -n "$dry_run" ] || rm -rf -- "$record" "$previous/record/instances/$instance"
    for place in "$config" "$state"; do
        [ ! -e "$place" ] || say "$place stays: it is yours"
    done
}

remove_template() {
    if [ ! -e "$template" ] || [ -n "$(instances)" ]; then return 0; fi
    step "removing $template" || return 0
    rm -f -- "$template" "$template.d/20-network.conf"
    rmdir -- "$template.d" 2>/dev/null || : # it may hold the user's own
    ! systemd_runs || systemctl daemon-reload
}

read_options "$@"
require_root
one_at_a_time
for name in $(instances); do
    if [ -z "$only" ] || [ "$only" = "$name" ]; then (remove_instance "$name"); fi
done
remove_template
if [ -n "$only" ]; then exit; fi
[ -e "$opt" ] || [ -e "$unit" ] || say 'nothing is installed'

stop_service
forget_device
remove_rule
for file in "$config" "$config.dist" "$web_token" "$mqtt_password" "$notify_urls" "$camera_password"; do remove_as_recorded "$file"; done
remove_model
[ -z "$purge" ] || for file in "$unit.bak" "$config.bak"; do remove_as_recorded "$file"; done
if [ -z "$dry_run" ]; then rm -f -- "${config%/*}/tuned.json"; fi # what was measured here
if [ -z "$dry_run" ]; then rmdir -- "${config%/*}" 2>/dev/null || :; fi
remove_state
give_back
if [ -e "$opt" ] && step "removing $opt"; then rm -rf --one-file-system -- "$opt"; fi
tell_what_stays
