# shellcheck shell=sh disable=SC2034,SC2154
# Sourced by install.sh: the unit, what install.sh adds to it, the secrets that it may be given, the camera's memory.
# Takes extras, new_unit, no_service, dry_run and work from there.

# A masked unit is a link to /dev/null, and stays one.
is_masked() { [ "$(readlink -- "$unit" 2>/dev/null)" = /dev/null ]; }

put_unit() {
    if is_masked || cmp -s -- "$new_unit" "$unit"; then return 0; fi
    if user_changed_unit; then
        step "keeping the unit that you changed as $unit.bak; your changes belong into: sudo systemctl edit edge-watch" || return 0
        cp -p -- "$unit" "$unit.bak"
    fi
    change "writing $unit" || return 0
    put_recorded "$new_unit" "$unit"
}

user_changed_unit() {
    [ -e "$unit" ] && ! is_as_recorded "$unit" && ! cmp -s -- "$opt/current/deploy/$unit_name" "$unit"
}

# What install.sh adds to the unit is rendered first, so that the check runs with it.
render_dropins() {
    mkdir -p "$work/dropins"
    case ,$extras, in *,web,* | *,mqtt,* | *,notify,*) cp -- "$here/network.conf" "$work/dropins/20-network.conf" ;; esac
    if grep -qs '^[[:space:]]*gpio[[:space:]]*=' "$work/watch.toml"; then
        [ -n "$no_service" ] || make_groups gpio # it must exist, or nothing starts
        sed "s|/run/edge-classify|&${instance:+-$instance}|" "$here/gpio.conf" >"$work/dropins/35-gpio.conf"
    fi
    case $(candidate_setting source) in rtsp://* | rtsps://* | http://* | https://*)
        sed "s|/etc/edge-classify/camera-password|$camera_password|" "$here/network-camera.conf" >"$work/dropins/25-camera.conf"
        ;;
    esac
    render_folders >"$work/dropins/30-folders.conf"
    [ -s "$work/dropins/30-folders.conf" ] || rm -f -- "$work/dropins/30-folders.conf"
}

# The unit may write below its state folder alone; images elsewhere need a line. It starts without a stick that is not
# plugged in.
render_folders() {
    pictures=$(candidate_setting snapshots.folder)
    case $pictures in '' | "$state" | "$state"/*) return 0 ;; esac
    case $pictures in /*) ;; *) return 0 ;; esac
    echo '# Written by install.sh for snapshots.folder in watch.toml.'
    echo '[Service]'
    echo "ReadWritePaths=\"-$(echo "$pictures" | sed 's/%/%%/g; s/[\\"]/\\&/g')\""
    if [ -n "$snapshots" ] || getent group "$shared_group" >/dev/null; then echo "SupplementaryGroups=$shared_group"; fi
}

# Each drop-in has a name of its own: those that are rendered are put, the others are removed; the user's own stay.
put_dropins() {
    for name in $our_dropins; do put_dropin "$name"; done
}

put_dropin() {
    if [ -e "$work/dropins/$1" ]; then
        if cmp -s -- "$work/dropins/$1" "$dropins/$1"; then return 0; fi
        change "writing $dropins/$1" || return 0
        put_recorded "$work/dropins/$1" "$dropins/$1"
    elif [ -e "$dropins/$1" ]; then
        change "removing $dropins/$1" || return 0
        rm -f -- "$dropins/$1"
        rmdir -- "$dropins" 2>/dev/null || : # it may hold the user's own
    fi
}

put_secrets() {
    case ,$extras, in
    *,web,* | *,mqtt,* | *,notify,*)
        put_secret "$web_token" "$(od -An -tx1 -N16 /dev/urandom | tr -d ' ')"
        put_secret "$mqtt_password" ''
        put_secret "$notify_urls" ''
        ;;
    esac
    [ ! -e "$work/dropins/25-camera.conf" ] || put_secret "$camera_password" ''
}

# put_secret FILE TEXT: readable by root alone; one that is there stays.
put_secret() {
    if [ -e "$1" ]; then return 0; fi
    step "writing $1" || return 0
    mkdir -p "${1%/*}" "$record"
    (umask 077 && echo "$2" >"$1.new")
    hash_of "$1.new" >"$record/${1##*/}.sha256"
    sync -- "$1.new" # one that is there stays, also an empty one
    mv -- "$1.new" "$1"
}

# What is left to do by hand: a camera's password; a page or a broker that no one requested is a surprise.
tell_parts() {
    case $(configured source) in rtsp*://*@* | http*://*@*)
        [ -n "$(cat "$camera_password" 2>/dev/null)" ] ||
            say "write the camera's password into $camera_password, then sudo systemctl restart edge-watch"
        ;;
    esac
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
    case ,$extras, in *,notify,*)
        [ -n "$(cat "$notify_urls" 2>/dev/null)" ] ||
            say "notifications are off: write Apprise URLs into $notify_urls, set on = true under [notify] in $config, then sudo systemctl restart edge-watch"
        ;;
    esac
}

put_rule() {
    if [ -e "$rule" ] || grep -qs 'SUBSYSTEM=="dma_heap"' /usr/lib/udev/rules.d/*.rules /etc/udev/rules.d/*.rules; then return; fi
    step "writing $rule (the system has no rule for the camera's memory)" || return 0
    put_recorded "$here/${rule##*/}" "$rule"
    udevadm control --reload 2>/dev/null || : # no udev runs in a container
    udevadm trigger --subsystem-match=dma_heap 2>/dev/null || :
}
