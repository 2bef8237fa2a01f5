# shellcheck shell=sh disable=SC2317,SC2034,SC2154
# Sourced by service-trial.sh: a second service beside the first one, on its own folder.

door_unit=edge-watch@door.service
door_config=/etc/edge-classify/door.toml
door_latest=/run/edge-classify-door/latest.json

door() { (unit=$door_unit && "$@"); }

add_door() { /payload/deploy/install.sh --instance door "$@"; }

second_folder() {
    was=$(pid)
    mkdir -p /srv/door && cp /payload/frames/* /srv/door/
    add_door --source /srv/door && door is_active && within 30 grep -q '"source": "/srv/door/' "$door_latest" && same "$(pid)" "$was"
}

door_has_its_own() {
    within 10 test -s /var/lib/private/edge-classify-door/results.jsonl && [ "$(uid "$(pid)")" != "$(uid "$(door pid)")" ] &&
        tr '\0' '\n' <"/proc/$(door pid)/environ" | grep -q '^EDGE_INSTANCE=door$' && [ "$(device '')" != "$(device door)" ]
}
uid() { awk '/^Uid/ { print $2 }' "/proc/$1/status"; }
device() {
    EDGE_INSTANCE=$1 /opt/edge-classify/current/bin/python -c \
        'from edge.service.mqtt.settings import MqttSettings; print(MqttSettings().device_id)'
}

door_again_changes_nothing() {
    was=$(door pid)
    add_door --source /srv/door && same "$(door pid)" "$was"
}

door_keeps_what_is_mine() {
    sed -i 's|^#fps = .*|fps = 5.0|; s|^#repeat = .*|repeat = true|' "$door_config"
    sed -i '/^\[history\]/,/^#file/ s|^#on = false|on = true|' "$door_config"
    systemctl restart "$door_unit" && within 30 door_moves
}
door_moves() {
    door is_active || return 1
    first=$(door_newest)
    within 10 door_changed_since "$first"
}
door_newest() { sed -n 's/.*"captured_at": "\([^"]*\)".*"frame": \([0-9]*\).*/\1 \2/p' "$door_latest"; }
door_changed_since() { [ "$(door_newest)" != "$1" ]; }

# both_run VERSION
both_run() { same "$(running)" "$1" && same "$(door running)" "$1" && within 30 works && within 30 door_moves; }
running() { tr '\0' '\n' <"/proc/$(pid)/cmdline" | sed -n 's|^/opt/edge-classify/\(versions/[^/]*\)/.*|\1|p'; }

both_are_upgraded() {
    before=$(installed_version)
    /payload/deploy/install.sh --offline /payload/wheels --wheel "$(echo /payload/edge_classify-9.9.5-*.whl)" || return 1
    [ "$(installed_version)" != "$before" ] && both_run "$(installed_version)" && grep -q '^fps = 5.0' "$door_config"
}

both_go_back() { /payload/deploy/install.sh --back && same "$(installed_version)" "$before" && both_run "$before"; }

crash_leaves_both() {
    fails /payload/deploy/install.sh --offline /payload/wheels --wheel "$(echo /payload/edge_classify-9.9.2-*.whl)" || return 1
    same "$(installed_version)" "$before" && both_run "$before"
}

wrong_door_stops_an_upgrade() {
    was=$(pid)
    sed -i '1i nonsense = 1' "$door_config"
    fails in_words /payload/deploy/install.sh --offline /payload/wheels --wheel "$(echo /payload/edge_classify-9.9.5-*.whl)"
    status=$?
    sed -i '1d' "$door_config"
    [ $status = 0 ] && said 'unknown key nonsense' && same "$(pid)" "$was" && both_run "$before"
}

door_has_a_history() {
    within 90 test -s /var/lib/private/edge-classify-door/history.sqlite &&
        within 90 in_words env EDGE_INSTANCE=door /opt/edge-classify/current/bin/edge-watch --config "$door_config" --history &&
        said ' h  ' && same "$(find /var/lib/private/edge-classify-door -user root -name 'history*')" ''
}

door_is_removed() {
    was=$(pid)
    /opt/edge-classify/current/deploy/uninstall.sh --instance door --purge && same "$(pid)" "$was" &&
        same "$(leftovers | grep -e door -e '@')" ''
}

purge_leaves_no_instance() {
    add_door --source /srv/door && /payload/deploy/uninstall.sh --purge && same "$(leftovers)" ''
}

check 'install.sh installs the first service' install_fresh
check 'it is ready on a folder of frames' starts_on_frames
check 'install.sh --instance: a second folder is one command, beside the first' second_folder
check 'it has a user, a state folder and an MQTT device of its own' door_has_its_own
check 'its unit passes systemd-analyze verify' same "$(systemd-analyze verify "$door_unit" 2>&1)" ''
check 'and its exposure is at most 1.7' door exposure
check 'the same again changes nothing' door_again_changes_nothing
check 'its configuration is its own' door_keeps_what_is_mine
check 'an upgrade takes both along' both_are_upgraded
check 'install.sh --back takes both back' both_go_back
check 'an upgrade that crashes at its start leaves both as they were' crash_leaves_both
check 'an upgrade that does not pass the check of the second one is rejected' wrong_door_stops_an_upgrade
check 'edge-watch --history reads what it has seen, and leaves its files to it' door_has_a_history
check 'uninstall.sh --instance removes it alone' door_is_removed
check 'uninstall.sh --purge leaves nothing of two services' purge_leaves_no_instance
