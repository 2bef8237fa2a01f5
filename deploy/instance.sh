# shellcheck shell=sh disable=SC2034,SC2154
# Sourced by install.sh and uninstall.sh: further services on one machine, each an instance of edge-watch@.service with a
# configuration (NAME.toml), a state folder and an MQTT device of its own. All run the version that is in place.
#
#   /opt/edge-classify/record/instances/NAME/    hashes of what was installed for it; its folder makes it known

template=/etc/systemd/system/edge-watch@.service
instance='' # the one that the places are of; empty: the main service

# instances: their names.
instances() {
    for folder in "$opt"/record/instances/*/; do
        [ ! -d "$folder" ] || basename -- "$folder"
    done
}

# A user's name has at most 31 characters, and edge-watch- is one.
check_instance_name() {
    case $1 in
    watch | -* | *[!a-z0-9-]* | ?????????????????*)
        wrong "--instance must be 1 to 16 of a-z, 0-9 and -, and not watch. Received: $1"
        ;;
    esac
}

# use_instance NAME: from here on all functions are about it. In a subshell, where there are several.
use_instance() {
    instance=$1
    unit_name=edge-watch@$1.service
    config=/etc/edge-classify/$1.toml
    state=/var/lib/edge-classify-$1
    private_state=/var/lib/private/edge-classify-$1
    model_place=$state/models/model.tflite
    dropins=/etc/systemd/system/$unit_name.d
    our_dropins='25-camera.conf 30-folders.conf 35-gpio.conf' # 20-network.conf is the template's, for all
    camera_password=/etc/edge-classify/$1-camera-password
    record=$opt/record/instances/$1
}

# unit_of NAME FILE: the unit of an instance, made of the main one; %i for the template.
unit_of() {
    sed -e "s|^Description=.*|& ($1)|" \
        -e "s|/etc/edge-classify/watch.toml|/etc/edge-classify/$1.toml|g" \
        -e "s/^\(State\|Runtime\|Cache\)Directory=edge-classify\$/&-$1/" \
        -e "s/^DynamicUser=yes\$/&\nUser=edge-watch-$1\nEnvironment=EDGE_INSTANCE=$1/" "$2"
}

main_unit() { if is_masked || [ ! -e "$unit" ]; then echo "$new_unit"; else echo "$unit"; fi; }

# put_template: from the main unit and its network, whenever these may have changed. The main service's places hold.
put_template() {
    [ -z "$dry_run" ] || return 0
    unit_of %i "$(main_unit)" >"$work/template"
    cmp -s -- "$work/template" "$template" || put "$work/template" "$template"
    if [ -e "$dropins/20-network.conf" ]; then
        put "$dropins/20-network.conf" "$template.d/20-network.conf"
    else
        rm -f -- "$template.d/20-network.conf"
        rmdir -- "$template.d" 2>/dev/null || :
    fi
}

# default_config: watch.toml as it ships, with the places of the instance.
default_config() {
    if [ -z "$instance" ]; then
        cat -- "$here/watch.toml"
    else
        sed -e "s|/var/lib/edge-classify|$state|g; s|/run/edge-classify|&-$instance|g" \
            -e "s|/etc/edge-classify/watch.toml|$config|g; s|/etc/edge-classify/camera-password|$camera_password|g" \
            -e "s/systemctl restart edge-watch\$/&@$instance/" "$here/watch.toml"
    fi
}

# add_instance NAME: it, or new options of it. The version in place is checked with what it will run with.
add_instance() {
    [ ! -d "$pending" ] || fail 'the last installation was cut short; run install.sh again, then this'
    [ -x "$opt/current/bin/edge-watch" ] || fail 'nothing is installed yet; run install.sh, then this again'
    target=$opt/$(in_place)
    case ,$(recorded with | tr -d ' '), in
    *",${extras:-none},"* | ",$extras,") ;;
    *) fail "--source $source: its part is not installed; sudo $0 --with $extras, then this again" ;;
    esac
    from=$(main_unit)
    put_template
    use_instance "$1"
    [ -d "$record" ] || first=yes
    unit_of "$1" "$from" >"$work/$unit_name"
    new_unit=$work/$unit_name
    repair_state
    render_config
    check_folders
    make_snapshots_folder
    render_dropins
    check_version "$target"
    [ -z "$dry_run" ] || return 0
    mkdir -p "$record"
    put_model
    put_config
    [ ! -e "$work/dropins/25-camera.conf" ] || put_secret "$camera_password" ''
    put_dropins
    start_instance
}

start_instance() {
    if [ -n "$first" ]; then systemctl --quiet enable "$unit_name"; fi
    if [ -z "$changed" ] && service_is is-active; then
        say "$unit_name: nothing to do"
    elif ! service_is is-enabled && ! service_is is-active; then
        say "$unit_name is disabled, and remains disabled; sudo systemctl enable --now $unit_name starts it"
    elif start; then
        say "$unit_name is active: $(property StatusText); journalctl -u $unit_name -f shows more; its settings: $config"
    elif [ "$ended" = exit-code/1 ]; then
        say "$unit_name cannot work yet, see above; systemd restarts it every 10 seconds"
    else
        fail "$unit_name did not start, see above, or journalctl -u $unit_name"
    fi
}

is_used() { [ -e "$config" ] && { service_is is-enabled || service_is is-active; }; }

# check_instances FOLDER: the version there, with the configuration of each.
check_instances() {
    for name in $(instances); do
        (
            use_instance "$name"
            is_used || exit 0
            work=$work/$name model='' snapshots=''
            mkdir -p "$work"
            cp -p -- "$config" "$work/watch.toml"
            unit_of "$name" "$new_unit" >"$work/$unit_name"
            new_unit=$work/$unit_name
            render_dropins
            check_version "$1"
        ) || exit 1
    done
}

# start_instances: with the version in place. False where one does not start that ran until now.
start_instances() {
    [ -n "$(instances)" ] || return 0
    put_template
    for name in $(instances); do
        (
            use_instance "$name"
            is_used || exit 0
            step "starting $unit_name" || exit 0
            was=$(property ActiveState)
            start || [ "$was" != active ] || exit 1
        ) || return 1
    done
}
