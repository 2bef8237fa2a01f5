# shellcheck shell=sh disable=SC2317,SC2034
# Sourced by what runs in the container that test-service.sh boots: what is tried, and what checks are made of.

full='' emulated='' parts=''
# shellcheck source=/dev/null
. /payload/settings
pace=1 # an emulated machine is slower
[ -z "$emulated" ] || pace=6
unit=edge-watch.service
config=/etc/edge-classify/watch.toml
model=/var/lib/edge-classify/models/model.tflite
frames=/srv/frames
dropin=/etc/systemd/system/$unit.d/trial.conf
network=/etc/systemd/system/$unit.d/20-network.conf


# --- what checks are made of

note() { echo "     $*"; }

# check WHAT HOLDS COMMAND...
check() {
    sentence=$1
    shift
    echo "--- $sentence" >&2
    if "$@" >&2; then
        echo "ok   $sentence"
    else
        echo "FAIL $sentence"
        journalctl --quiet --no-pager --output=short-monotonic -n 15 -u "$unit" >&2
    fi
}

fails() { if "$@"; then return 1; fi; }
same() { [ "$1" = "$2" ] || { echo "expected $2, received $1" && false; }; }

# within SECONDS COMMAND...: becomes true in that time, which is longer where all is emulated. A subshell, since commands may wait in turn.
within() (
    end=$(($(now_ms) + $1 * 1000 * pace))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$end" ] || exit 1
        sleep 0.1
    done
)

# keeps SECONDS COMMAND...: is true all that time.
keeps() (
    end=$(($(now_ms) + $1 * 1000))
    shift
    while [ "$(now_ms)" -lt "$end" ]; do
        "$@" || exit 1
        sleep 0.5
    done
)

now_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }
property() { systemctl show --property "$1" --value "$unit"; }
pid() { property MainPID; }
state_is() { same "$(property ActiveState)" "$1"; }
is_active() { [ "$(property ActiveState)" = active ]; }
ready_ms() { echo $(($(property ActiveEnterTimestampMonotonic) / 1000)); }
is_ready_since() { is_active && [ "$(ready_ms)" -ge "$1" ]; }
told() { journalctl --quiet --no-pager --output=cat --since "@$told_since" -u "$unit" | grep -q -e "$1"; }
listen() { told_since=$(date +%s); }
install_broker() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends --no-download install mosquitto mosquitto-clients >&2
}
installed_version() { readlink /opt/edge-classify/current; }
install_sh() { /payload/deploy/install.sh --wheel "$(echo /payload/new/*.whl)" "$@"; }

# newest: when the newest frame was captured.
newest() { sed -n 's/.*"captured_at": "\([^"]*\)".*/\1/p' /run/edge-classify/latest.json; }

# works: two different frames are classified one after the other.
works() {
    is_active || return 1
    first=$(newest)
    within 10 changed_since "$first"
}
changed_since() { [ "$(newest)" != "$1" ]; }

# seconds FROM_MS: since then until the service was ready.
seconds_to_ready() { awk -v from="$1" -v to="$(ready_ms)" 'BEGIN { printf "%.1f", (to - from) / 1000 }'; }

# in_words COMMAND...: with what it says in /srv/said.
in_words() {
    "$@" >/srv/said 2>&1
    words_status=$?
    cat /srv/said
    return $words_status
}
said() { grep -q -e "$1" /srv/said; }
not_there() { [ ! -e "$1" ] || { echo "$1 is there" && false; }; }

# push USER OPTIONS...: from the workstation, over ssh; sets nothing but what install.sh does.
push() {
    rm -f /payload/pushed
    echo "$*" >/payload/push-now.new
    mv /payload/push-now.new /payload/push-now
    within 120 test -e /payload/pushed
    cat /payload/pushed.log
    return "$(cat /payload/pushed)"
}

# takes_a_new_picture: the folder that is its source is followed.
takes_a_new_picture() {
    is_active || return 1
    first=$(newest)
    source=$(sed -n 's/^source = "\(.*\)"/\1/p' "$config")
    cp /payload/frames/00-photo.jpg "$source/.new" && mv "$source/.new" "$source/new-$(now_ms).jpg"
    within 10 changed_since "$first"
}
