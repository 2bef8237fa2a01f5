#!/bin/sh
# Runs in the machine that arm-service.sh starts, as root: a line a check on stdout, "done" at the end.
# shellcheck disable=SC2317  # checks are called by name
set -u
unit=edge-watch.service
config=/etc/edge-classify/watch.toml
frames=/srv/frames
small=/payload/hotdog-small.tflite # for the service: in emulation a frame takes the default model most of a second
size_limit_mb=25 # with the wheels that are kept for a rebuild, 7 of them

note() { echo "     $*"; }

check() {
    sentence=$1
    shift
    echo "--- $sentence" >&2
    started=$(date +%s)
    if "$@" >&2; then
        echo "ok   $sentence ($(($(date +%s) - started)) s)"
    else
        echo "FAIL $sentence"
        journalctl --quiet --no-pager --output=short-monotonic -n 15 -u "$unit" >&2
    fi
}

same() { [ "$1" = "$2" ] || { echo "expected $2, received $1" && false; }; }

# within SECONDS COMMAND...
within() {
    end=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$end" ] || return 1
        sleep 1
    done
}

property() { systemctl show --property "$1" --value "$unit"; }
pid() { property MainPID; }
newest() { sed -n 's/.*"captured_at": "\([^"]*\)".*/\1/p' /run/edge-classify/latest.json; }
changed_since() { [ -n "$(newest)" ] && [ "$(newest)" != "$1" ]; }
works() { first=$(newest) && within 60 changed_since "$first" && same "$(property ActiveState)" active; }

is_arm() {
    case $(uname -m)/$(dpkg --print-architecture) in
    aarch64/arm64 | armv7l/armhf) ;;
    *) uname -m && false ;;
    esac
}

install_fresh() {
    /payload/deploy/install.sh --wheel "$(echo /payload/wheel/*.whl)" --offline "/payload/wheels/$runtime" &&
        same "$(systemctl is-enabled $unit)" enabled
}

numpy_is_the_systems() {
    /opt/edge-classify/current/bin/python -c "
import numpy, PIL
for module in numpy, PIL:
    assert module.__file__.startswith('/usr/lib/python3/dist-packages/'), module.__file__"
}

size_mb() { du -sk /opt/edge-classify | awk '{ printf "%.1f", $1 / 1024 }'; }
is_small() { awk -v size="$(size_mb)" -v limit="$size_limit_mb" 'BEGIN { exit !(size < limit) }'; }

starts_on_frames() {
    sed -i "s|^source = .*|source = \"$frames\"|; s|^#fps = .*|fps = 1.0|; s|^#repeat = .*|repeat = true|; s|^#model = .*|model = \"$small\"|" "$config"
    systemctl restart $unit && within 90 works
}

is_confined() {
    [ "$(awk '/^Uid/ { print $2 }' "/proc/$(pid)/status")" -ge 61184 ] &&
        same "$(awk '/^CapEff/ { print $2 }' "/proc/$(pid)/status")" 0000000000000000 &&
        same "$(awk '/^Seccomp:/ { print $2 }' "/proc/$(pid)/status")" 2
}

exposure() { systemd-analyze security --no-pager --threshold=17 "$unit" >/tmp/exposure || { tail -n 1 /tmp/exposure && false; }; }

# It may find that a machine has no camera; it must find the runtime and the model well.
doctors() {
    /opt/edge-classify/current/bin/edge-doctor -m "$small" --format json >/tmp/found || [ $? = 1 ] || return 1
    python3 -c '
import json
found = {line["name"]: line for line in json.load(open("/tmp/found"))["checks"]}
for name in ("runtime", "model"):
    assert found[name]["status"] == "ok", found[name]'
}

comes_back() {
    was=$(pid)
    kill -9 "$was"
    within 90 has_other_pid "$was" && within 60 works
}
has_other_pid() { [ "$(property ActiveState)" = active ] && [ "$(pid)" != "$1" ]; }

# The configuration was changed by hand above.
purge_leaves_nothing() { /payload/deploy/uninstall.sh --purge && same "$(leftovers)" ''; }
leftovers() {
    find / -xdev \( -path /payload -o -path /proc -o -path /sys \) -prune -o \( -name '*edge-*' -o -name 'edge_*' \
        -o -path '*/edge-classify/*' \) -print 2>/dev/null | grep -v -e edge-trial -e '^/usr/' -e '^/boot/' | sort
}

# Another wheel in the folder makes another version, which takes over while the service runs.
adds_litert() {
    was=$(readlink /opt/edge-classify/current)
    runtime=litert
    install_fresh && [ "$(readlink /opt/edge-classify/current)" != "$was" ] && within 90 works &&
        grep '"runtime": "ai-edge-litert' /run/edge-classify/latest.json
}

runtime=tflite
[ -d /payload/wheels/tflite ] || runtime=litert
mkdir -p $frames
cp /payload/frames/* $frames/
check 'the machine is an ARM, and its system of as many bits' is_arm
check 'install.sh installs without a network' install_fresh
check "numpy and Pillow are the system's" numpy_is_the_systems
note "installed size beyond Debian's packages: $(size_mb) MB"
[ "$runtime" != tflite ] || check "with tflite-runtime that is under $size_limit_mb MB" is_small
note "of it: $(cd /opt/edge-classify/current/lib/python3*/site-packages && du -sk -- * | sort -rn | head -n 8 | awk '{ printf "%s %.1f, ", $2, $1 / 1024 }')"
check 'systemd-analyze verify is silent' same "$(systemd-analyze verify /etc/systemd/system/$unit 2>&1)" ''
check 'exposure is at most 1.7' exposure
check 'it classifies a folder of frames, and latest.json changes' starts_on_frames
check 'it is a passing user without capabilities, its calls filtered' is_confined
check 'edge-doctor finds runtime and model well' doctors
check 'killed, it is back' comes_back
[ "$runtime" != tflite ] || [ ! -d /payload/wheels/litert ] || check 'ai-edge-litert is added, and classifies' adds_litert
check 'uninstall.sh --purge leaves nothing' purge_leaves_nothing
echo 'done'
