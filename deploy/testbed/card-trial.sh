#!/bin/sh
# Runs in the container that test-card.sh boots, as root: a line a check on stdout, "done" at the end.
set -u
unit=edge-watch.service
config=/etc/edge-classify/watch.toml

check() {
    sentence=$1
    shift
    echo "--- $sentence" >&2
    if "$@" >&2; then echo "ok   $sentence"; else echo "FAIL $sentence"; fi
}

within() {
    left=$1
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
}

# The commands of one shell, each with what it said and how it ended.
type_commands() {
    cd /root || return
    number=0
    while IFS= read -r line; do
        number=$((number + 1))
        echo "\$ $line" >&2
        eval "$line" >"/payload/command-$number" 2>&1 </dev/null
        ended=$?
        cat "/payload/command-$number" >&2
        echo "$number $ended" >>/payload/statuses
    done </payload/commands
}

ended_with() { grep -qx "$1 $2" /payload/statuses; }
says() { grep -q -- "$2" "/payload/command-$1"; }
holds() { journalctl --quiet --no-pager --output=cat -u "$unit" | grep -q -- "$1"; }
state_is() { [ "$(systemctl show --property ActiveState --value "$unit")" = "$1" ]; }
status_says() { systemctl show --property StatusText --value "$unit" | grep -q -- "$1"; }

set_source() {
    sed -i 's|^source = .*|source = "/srv/frames"|; s|^#repeat = .*|repeat = true|' "$config"
    grep -qx 'source = "/srv/frames"' "$config"
}

: >/payload/statuses
type_commands
check '1. apt installs git' ended_with 1 0
check '2. git clones the checkout' ended_with 2 0
check '3. install.sh builds the package and installs it' ended_with 3 0
check '3. it says that this system has no camera' says 3 'python3-picamera2 is not in the archive'
check '4. edge-doctor finds the runtime and the model ...' says 4 'golden vectors'
check '4. ... names what is missing for a camera ...' says 4 picamera2
check '4. ... and ends with 1' ended_with 4 1
check '5. journalctl shows the service' ended_with 5 0
check '5. it says why there is no frame, and what to do' says 5 picamera2
check 'systemd goes on trying' within 30 state_is activating

cp -r /payload/frames /srv/frames
check 'given frames by the configuration ...' set_source
systemctl restart "$unit" >&2
check '... it is active' within 30 state_is active
check '... STATUS has a label' within 10 status_says hotdog
check '... and the journal has an event' within 10 holds '"event"'
check 'edge-doctor then finds nothing that stops the work' /opt/edge-classify/current/bin/edge-doctor
echo 'done'
