#!/bin/sh
# Runs in the container that test-service.sh boots, as root: a line a check on stdout, "done" at the end.
# shellcheck disable=SC2317  # checks are called by name
set -u

# shellcheck source-path=SCRIPTDIR source=trial.sh
. /payload/trial.sh

# --- installing

install_fresh() {
    install_sh --offline /payload/wheels && [ "$(systemctl is-enabled $unit)" = enabled ]
}

no_camera_is_said() { [ -n "$(installed_version)" ] && within 15 told 'picamera2\|camera'; }

numpy_is_the_systems() {
    for runtime in "$@"; do
        /opt/edge-classify/current/bin/python -c "
import $runtime.interpreter, numpy
assert numpy.__file__.startswith('/usr/lib/python3/dist-packages/'), numpy.__file__
" || return 1
    done
    same "$(dpkg --verify python3-numpy | grep -v /usr/share/)" '' # documentation was left out of the container
}

checks_with() { /opt/edge-classify/current/bin/edge-watch --check --runtime "$1"; }

exposure() {
    systemd-analyze security --no-pager "$unit" | tail -n 1
    systemd-analyze security --no-pager --threshold=17 "$unit" >/dev/null
}

is_confined() {
    [ "$(awk '/^Uid/ { print $2 }' "/proc/$(pid)/status")" -ge 61184 ] &&
        same "$(awk '/^CapEff/ { print $2 }' "/proc/$(pid)/status")" 0000000000000000 &&
        same "$(awk '/^Seccomp:/ { print $2 }' "/proc/$(pid)/status")" 2
}

starts_on_frames() {
    sed -i "s|^source = .*|source = \"$frames\"|; s|^#fps = .*|fps = 5.0|; s|^#repeat = .*|repeat = true|" "$config"
    systemctl stop $unit
    from=$(now_ms)
    systemctl start $unit
    is_active || return 1
    start_ms=$(($(ready_ms) - from))
    within 30 works
}

second_run_changes_nothing() {
    was=$(pid)
    before=$(all_of_it)
    install_sh --offline /payload/wheels || return 1
    same "$(pid)" "$was" && same "$(all_of_it)" "$before"
}
all_of_it() { find /etc /opt /var/lib/private -xdev -type f -printf '%p %T@ %i\n' | grep -v '/record/' | sort; }

# --- what can happen to it

# is_ready_in SECONDS and the allowance since $from: 3 s, or on a machine that is busy twice what a start took.
is_ready_in() {
    allowed_ms=$(($1 * 1000 + (start_ms > 1500 ? 2 * start_ms : 3000)))
    within $((allowed_ms / 1000 + 10)) is_ready_since "$from" || return 1
    [ $(($(ready_ms) - from)) -le "$allowed_ms" ] || { echo "took $(seconds_to_ready "$from") s" && false; }
}

comes_back_after_a_kill() {
    from=$(now_ms)
    kill -9 "$(pid)"
    is_ready_in 10
}

# From here on the times are shorter, unless FULL=1.
shorten() {
    [ -z "$full" ] || return 0
    mkdir -p "${dropin%/*}"
    printf '[Service]\nRestartSec=2\nWatchdogSec=6\n' >"$dropin"
    systemctl daemon-reload
    systemctl restart $unit
}

watchdog_restarts_it() {
    if [ -n "$full" ]; then is_ready_in 40; else is_ready_in 8; fi && told 'Watchdog timeout'
}

# A pipe that nobody writes into stands for a source that never delivers.
frozen_source() {
    listen
    from=$(now_ms)
    mv "$frames" "$frames.away"
    mkdir "$frames"
    mkfifo "$frames/frozen.jpg"
    within 90 told 'Watchdog timeout'
    rm -r "${frames:?}"
    mv "$frames.away" "$frames"
    watchdog_restarts_it
}

hung_process() {
    listen
    from=$(now_ms)
    kill -STOP "$(pid)"
    watchdog_restarts_it
}

small_state_folder() {
    systemctl stop $unit
    mount -t tmpfs -o size=2m,mode=750 tmpfs /var/lib/private/edge-classify
    sed -i 's|^#file = .*|file = "/var/lib/edge-classify/results.jsonl"|; s|^#folder = .*|folder = "/var/lib/edge-classify/snapshots"|' "$config"
    systemctl start $unit
    within 30 works && within 5 test -s /var/lib/edge-classify/results.jsonl
}

full_disk() {
    was=$(pid)
    listen
    dd if=/dev/zero of=/var/lib/private/edge-classify/ballast bs=64k 2>/dev/null
    within 15 told 'No space left' && keeps 3 works && same "$(pid)" "$was"
}

disk_is_freed() {
    rm /var/lib/private/edge-classify/ballast
    size=$(stat -c %s /var/lib/private/edge-classify/results.jsonl)
    within 30 has_grown "$size"
}
has_grown() { [ "$(stat -c %s /var/lib/private/edge-classify/results.jsonl)" -gt "$1" ]; }

no_rights_to_state() {
    was=$(pid)
    listen
    chown -R root:root /var/lib/private/edge-classify/
    chmod -R a-w /var/lib/private/edge-classify/
    kill -USR1 "$was" # asks for a picture to be kept
    within 30 told 'Permission denied' && works && same "$(pid)" "$was"
}

# A start gives the folder back to the service's user, which on a read-only one even systemd could not.
read_only_state() {
    systemctl restart $unit
    systemctl stop $unit
    mount -o remount,ro /var/lib/private/edge-classify
    listen
    systemctl start $unit
    within 30 works && within 10 told 'Read-only file system'
}

ordinary_state_folder() {
    systemctl stop $unit
    umount /var/lib/private/edge-classify
    sed -i 's|^file = .*|#file = ""|; s|^folder = .*|#folder = ""|' "$config"
    systemctl start $unit
    within 30 works
}

# --- models and versions

install_with_model() {
    sed -i "s|^#model = .*|model = \"$model\"|" "$config"
    install_sh --offline /payload/wheels --model /payload/models/hotdog.tflite && within 30 works
}

corrupted_model() {
    was=$(pid)
    listen
    head -c 100000 /payload/models/hotdog.tflite >"$model.new"
    mv "$model.new" "$model"
    within 30 told 'damaged' && works && same "$(pid)" "$was"
}

wrong_answers_model() {
    was=$(pid)
    listen
    python3 -c "import zipfile, glob; z = zipfile.ZipFile(glob.glob('/payload/edge_classify-9.9.1-*.whl')[0])
open('$model.new', 'wb').write(z.read('edge/models/hotdog-small.tflite'))"
    mv "$model.new" "$model"
    within 30 told 'golden' && works && same "$(pid)" "$was"
}

good_model() {
    was=$(pid)
    listen
    cp /payload/models/hotdog-small.tflite "$model.new"
    mv "$model.new" "$model"
    within 30 told 'model.tflite: new model loaded' && works && same "$(pid)" "$was"
}

bad_upgrade() {
    was=$(pid) version=$(installed_version)
    fails /payload/deploy/install.sh --offline /payload/wheels --wheel "$(echo /payload/edge_classify-9.9.1-*.whl)" || return 1
    same "$(pid)" "$was" && same "$(installed_version)" "$version" && works
}

crashing_upgrade() {
    version=$(installed_version)
    fails /payload/deploy/install.sh --offline /payload/wheels --wheel "$(echo /payload/edge_classify-9.9.2-*.whl)" || return 1
    same "$(installed_version)" "$version" && within 30 works
}

# After 40 frames, in each life.
hung_invoke() {
    listen
    /payload/deploy/install.sh --offline /payload/wheels --wheel "$(echo /payload/edge_classify-9.9.3-*.whl)" || return 1
    within 120 told 'Watchdog timeout' && within 60 works
}

good_version_again() { install_sh --offline /payload/wheels && within 30 works; }

other_runtime() {
    version=$(installed_version)
    install_sh --offline /payload/wheels-tflite || return 1
    [ "$(installed_version)" != "$version" ] && within 30 works && numpy_is_the_systems tflite_runtime &&
        fails /opt/edge-classify/current/bin/python -c 'import ai_edge_litert'
}

pushed() {
    version=$(installed_version)
    push root --model models/hotdog.tflite && [ "$(installed_version)" != "$version" ] && within 30 works &&
        cmp "$model" /payload/models/hotdog.tflite
}

# A watch on the file system: no name, file or folder has changed but the log of logins, and /tmp, where the folder was.
greeted() {
    # shellcheck disable=SC2016  # of .bashrc
    printf 'echo Welcome home media srv\nread -p "Start the agent? " answer\necho "/ * $answer"\n' >/root/.bashrc
    mkdir -p /media/card && echo mine >/media/card/mine
    watched >/run/before
    push root --dry-run
    status=$?
    watched >/run/after
    rm /root/.bashrc
    [ $status = 0 ] && cmp /run/before /run/after && same "$(find /tmp -maxdepth 1 -name 'tmp.*')" ''
}
watched() {
    find / -xdev \( -path /payload -o -path /run -o -path /proc -o -path /sys -o -path /dev -o -path /var/log -o -path /tmp \
        -o -path '/var/lib/private/edge-classify' \) -prune -o -printf '%p %i %C@ %m %u\n'
}

sudo_asks_for_a_password() {
    useradd --create-home --groups sudo --shell /bin/bash pi
    echo pi:secret | chpasswd
    install -d -m 700 -o pi -g pi /home/pi/.ssh && install -m 600 -o pi -g pi /root/.ssh/authorized_keys /home/pi/.ssh/
    push pi --dry-run
    status=$?
    grep -q 'password for pi' /payload/pushed.log && fails grep -q secret /payload/pushed.log && return $status
}

two_versions_are_kept() { same "$(find /opt/edge-classify/versions -mindepth 1 -maxdepth 1 | wc -l)" 2; }

config_is_kept() { grep -q "^source = \"$frames\"" "$config"; }

# --- configuration and source

wrong_config() {
    listen
    sed -i '1i nonsense = 1' "$config"
    systemctl restart $unit
    within 10 state_is failed
    restarts=$(property NRestarts)
    within 10 told nonsense && same "$(property ExecMainStatus)" 2 &&
        keeps 5 state_is failed && same "$(property NRestarts)" "$restarts"
}

right_config_again() {
    sed -i '1d' "$config"
    systemctl restart $unit
    within 30 works
}

source_gone() {
    listen
    away_s=40
    [ -z "$full" ] || away_s=600
    mv $frames $frames.away
    sleep 15
    keeps $((away_s - 15)) fails state_is failed && told "$frames"
}

source_back() {
    mv $frames.away $frames
    from=$(now_ms)
    within 40 works
}

# --- the live page, metrics and MQTT

# asked PATH [TOKEN LABEL]: prints what the page's server answers.
asked() {
    python3 - "$@" <<'END'
import json, sys, urllib.request
path, *control = sys.argv[1:]
request = urllib.request.Request(f"http://127.0.0.1:8080{path}")
if control:
    request.add_header("Authorization", f"Bearer {control[0]}")
    request.data = json.dumps({"label": control[1]}).encode()
print(urllib.request.urlopen(request, timeout=10).read().decode(errors="replace"))
END
}

page_without_its_part() {
    listen
    sed -i '/^\[web\]/a listen = "8080"' "$config"
    systemctl restart $unit
    within 10 state_is failed
    within 10 told 'needs tornado.*install.sh --with web' && same "$(property ExecMainStatus)" 2
}

install_with_parts() {
    sed -i '/^\[mqtt\]/a url = "mqtt://127.0.0.1"' "$config"
    install_sh --offline /payload/wheels --with web,mqtt && within 30 works && exposure
}

page_answers() {
    within 15 same "$(asked /healthz)" ok && asked / | grep -q '<title>' && asked /metrics | grep -q '^edge_classify_fresh 1' &&
        asked /latest.json | grep -q '"fresh": true' && asked /events.json >/dev/null && asked /input.png | grep -q PNG
}

page_is_local() { fails grep -q '00000000:1F90 ' /proc/net/tcp && grep -q '0100007F:1F90' /proc/net/tcp; }

controls_want_the_token() {
    same "$(stat -c '%a %U' /etc/edge-classify/web-token)" '600 root' || return 1
    fails asked /keep wrong-token sausage || return 1
    asked /keep "$(cat /etc/edge-classify/web-token)" sausage && ls /var/lib/edge-classify/dataset/sausage/*.jpg
}

mqtt_waits_for_its_broker() { told 'mqtt 127.0.0.1:1883: connection refused; retrying' && is_active; }

mqtt_reaches_a_broker() {
    install_broker && systemctl restart mosquitto
    state=$(mosquitto_sub -h 127.0.0.1 -t 'edge-classify/+/state' -C 1 -W 60) && echo "$state" | grep -q '"model": "model.tflite"' && within 60 is_online
}
is_online() { same "$(mosquitto_sub -h 127.0.0.1 -t 'edge-classify/+/availability' -C 1 -W 60)" online; }

# probe: starts the service, before which Python says within the unit's own confinement what it may do.
probe() {
    mkdir -p "${dropin%/*}"
    printf '[Service]\nExecStartPre=-/usr/bin/python3 /srv/probe.py\n' >"${dropin%/*}/probe.conf"
    cat >/srv/probe.py <<'END'
import os, pathlib, socket
try:
    socket.create_connection(("127.0.0.1", 22222), 2)
except OSError as error:
    print("probe:", error.strerror)
for path in pathlib.Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere")).glob("*"):
    print(f"probe: {path.name}, others {path.stat().st_mode & 0o077:o}, {len(path.read_text())} letters")
END
    listen
    systemctl daemon-reload
    systemctl restart $unit
    rm "${dropin%/*}/probe.conf" /srv/probe.py
    systemctl daemon-reload
    within 30 works
}
has_no_network() { probe && within 5 told 'probe: Address family not supported'; }
has_network_and_secrets() {
    probe && within 5 told 'probe: Connection refused' && told 'probe: web-token, others 0, 33 letters' &&
        told 'probe: mqtt-password, others 0, 1 letters'
}
works_without_its_secrets() {
    mkdir /srv/secrets
    mv /etc/edge-classify/web-token /etc/edge-classify/mqtt-password /srv/secrets/
    probe && told 'probe: web-token, others 0, 1 letters' && fails asked /keep '' sausage && page_answers
    status=$?
    mv /srv/secrets/* /etc/edge-classify/
    systemctl restart $unit
    return $status
}

crashing_upgrade_without_parts() {
    version=$(installed_version)
    fails /payload/deploy/install.sh --offline /payload/wheels --wheel "$(echo /payload/edge_classify-9.9.2-*.whl)" --with none || return 1
    same "$(installed_version)" "$version" && test -e "$network" && same "$(cat /opt/edge-classify/record/with)" web,mqtt &&
        within 30 page_answers
}

doctor_finds_them_well() {
    /opt/edge-classify/current/bin/edge-doctor >/srv/doctor || :
    cat /srv/doctor
    grep -q '^ok *parts *web and mqtt' /srv/doctor && grep -q '^ok *secrets' /srv/doctor &&
        grep -q '^ok *live page *responds at 8080, for this machine alone; controls by token' /srv/doctor &&
        grep -q "^ok *broker *127.0.0.1:1883 accepts this device's login" /srv/doctor
}

parts_are_remembered() {
    was=$(pid)
    install_sh --offline /payload/wheels && same "$(pid)" "$was" && test -e "$network"
}

parts_are_taken_away() {
    sed -i '/^listen = /d; /^url = /d' "$config"
    rm -r /var/lib/edge-classify/dataset
    install_sh --offline /payload/wheels --with none && within 30 works && fails test -e "$network" &&
        fails /opt/edge-classify/current/bin/python -c 'import tornado' && has_no_network
}

# --- the end of it

# The configuration and the model were changed by hand above.
remove_keeps_what_is_mine() {
    rm -rf "${dropin%/*}"
    /opt/edge-classify/current/deploy/uninstall.sh && config_is_kept && same "$(leftovers)" "/etc/edge-classify
$config
/var/lib/edge-classify
/var/lib/private/edge-classify
/var/lib/private/edge-classify/models
/var/lib/private/edge-classify/models/model.tflite
/var/lib/private/edge-classify/mqtt-retained.json" # without MQTT's packages the broker cannot be cleared
}
purge_leaves_nothing() { /payload/deploy/uninstall.sh --purge && same "$(leftovers)" ''; }
remove_leaves_nothing() {
    install_sh --offline /payload/wheels-tflite --model /payload/models/hotdog-small.tflite || return 1
    /payload/deploy/uninstall.sh && same "$(leftovers)" ''
}
leftovers() {
    find / -xdev \( -path /payload -o -path /proc -o -path /sys \) -prune -o \( -name '*edge-*' -o -name 'edge_*' \
        -o -path '*/edge-classify/*' \) -print 2>/dev/null | grep -v edge-trial | sort
}

try_service() {
    check 'install.sh installs on a fresh bookworm, without a network' install_fresh
    check 'a missing camera is reported, and the installation stays' no_camera_is_said
    check 'numpy is the system'"'"'s, with ai-edge-litert and with tflite-runtime' numpy_is_the_systems ai_edge_litert tflite_runtime
    check 'the model passes its check with ai-edge-litert' checks_with litert
    check 'the model passes its check with tflite-runtime' checks_with tflite
    check 'systemd-analyze verify is silent' same "$(systemd-analyze verify /etc/systemd/system/$unit 2>&1)" ''
    check 'exposure is at most 1.7' exposure
    check 'it is ready on a folder of frames' starts_on_frames
    note "start to ready: $(seconds_to_ready "$from") s"
    check 'it is a passing user without capabilities, its calls filtered' is_confined
    check 'a second install.sh changes nothing, and keeps it running' second_run_changes_nothing
    check 'killed, it is ready within RestartSec + 3 s' comes_back_after_a_kill
    note "killed to ready: $(seconds_to_ready "$from") s"
    shorten
    check 'a frozen source: the watchdog restarts it' frozen_source
    check 'a hung process: restarted within WatchdogSec + RestartSec + 3 s' hung_process
    note "hung to ready: $(seconds_to_ready "$from") s (WatchdogSec $(property WatchdogUSec))"
    check 'it writes results into its state folder' small_state_folder
    check 'a full disk: said, and it goes on' full_disk
    check 'a disk with room again: it writes again' disk_is_freed
    check 'a state folder without rights: said, and it goes on' no_rights_to_state
    check 'a read-only state folder: said, and it works' read_only_state
    check 'and on an ordinary one again' ordinary_state_folder
    check 'an upgrade that fails its check: the last one stays, and runs' bad_upgrade
    check 'an upgrade that crashes at its start: the last one runs again' crashing_upgrade
    check 'an invoke that hangs: the watchdog restarts it, and it works for as long as it can' hung_invoke
    check 'a good version again' good_version_again
    check 'install.sh --model puts a model in place' install_with_model
    check 'a corrupted model is refused, and the old one goes on' corrupted_model
    check 'a model with wrong answers is refused, and the old one goes on' wrong_answers_model
    check 'a good model is taken over in the same process' good_model
    check 'where there is no ai-edge-litert, tflite-runtime is used' other_runtime
    check 'push.sh installs over ssh, and a model with it' pushed
    check 'push.sh touches nothing but its own folder if a login shell greets and asks' greeted
    check 'push.sh: sudo asks for its password' sudo_asks_for_a_password
    check 'the version in place and the one before are kept' two_versions_are_kept
    check 'the changed configuration was kept' config_is_kept
    check 'a wrong configuration: said, status 2, and no restart' wrong_config
    check 'a right one again: it works' right_config_again
    check "a source that is gone: said, and never given up" source_gone
    check 'the source is back: it works within RestartSec + 6 s' source_back
    check 'it has no network' has_no_network
    check 'a page without its part: said, status 2' page_without_its_part
    listen
    check 'install.sh --with web,mqtt' install_with_parts
    check 'page, results and metrics answer' page_answers
    check 'to this machine alone' page_is_local
    check 'a control wants the token that systemd hands over, and keeps a frame' controls_want_the_token
    check 'MQTT waits for its broker' mqtt_waits_for_its_broker
    check 'and reaches a real one' mqtt_reaches_a_broker
    check 'edge-doctor finds parts, secrets, page and broker well' doctor_finds_them_well
    check 'the unit has its network, and copies of the secrets that nobody else can read' has_network_and_secrets
    check 'where the secrets are gone it works, without controls' works_without_its_secrets
    check 'a later install.sh keeps the parts' parts_are_remembered
    check 'an upgrade that crashes at its start leaves them as they were' crashing_upgrade_without_parts
    check 'install.sh --with none takes them away' parts_are_taken_away
    check 'uninstall.sh leaves what the user wrote' remove_keeps_what_is_mine
    check 'uninstall.sh --purge leaves nothing' purge_leaves_nothing
    check 'nor does uninstall.sh where nothing was changed' remove_leaves_nothing
}

mkdir -p $frames
cp /payload/frames/* $frames/
listen
case $parts in *service*) try_service ;; *) install_broker ;; esac
case $parts in
*instances*)
    # shellcheck source-path=SCRIPTDIR source=instance-trial.sh
    . /payload/instance-trial.sh
    ;;
esac
case $parts in
*sources*)
    # shellcheck source-path=SCRIPTDIR source=sources-trial.sh
    . /payload/sources-trial.sh
    ;;
esac
case $parts in
*acting*)
    # shellcheck source-path=SCRIPTDIR source=acting-trial.sh
    . /payload/acting-trial.sh
    ;;
esac
case $parts in
*faults*)
    # shellcheck source-path=SCRIPTDIR source=faults-trial.sh
    . /payload/faults-trial.sh
    ;;
esac
echo 'done'
