# shellcheck shell=sh disable=SC2317,SC2154,SC2086
# Sourced by service-trial.sh where nothing is installed: what owners of such devices have reported, a check each.
# The version in place is 0.2.0's, the upgrade 9.9.5.

faulty=/payload/edge_classify-9.9.4-py3-none-any.whl # ends with status 1 when it starts
newer=/payload/edge_classify-9.9.5-py3-none-any.whl
state=/var/lib/edge-classify
opt=/opt/edge-classify

works() { takes_a_new_picture; }
install() { install_sh --offline /payload/wheels "$@"; }
upgrade() { /payload/deploy/install.sh --offline /payload/wheels --wheel "$newer" "$@"; }
running() { tr '\0' '\n' <"/proc/$(pid)/cmdline" | sed -n '1s|^/opt/edge-classify/\(versions/[^/]*\)/.*|\1|p'; }
runs_what_is_in_place() { within 30 works && same "$(running)" "$(installed_version)"; }

# --- a source, steps

# A terminal is asked, where there is neither a camera nor --source.
folder_is_asked_for() {
    echo "$frames" | in_words script --quiet --return --command \
        "/payload/deploy/install.sh --wheel $(echo /payload/new/*.whl) --offline /payload/wheels" /dev/null &&
        said 'Folder of images' && within 30 works && grep -q "^source = \"$frames\"" "$config"
}

# For trixie-trial.sh: all of it, with an unit that is enabled.
is_kept_for_trixie() {
    tar -C / -cf /payload/moved.tar opt/edge-classify etc/edge-classify "etc/systemd/system/$unit" srv/frames \
        "etc/systemd/system/multi-user.target.wants/$unit" var/lib/private/edge-classify
}

# --- never without a service

# 1
wheels_are_kept_again() {
    wheel=$(find "$opt/current/deploy/wheels/" -name 'ai_edge_litert-*-cp311-*.whl')
    cp "$wheel" /srv/wheel && : >"$wheel" && install && cmp /srv/wheel "$wheel"
}
emptied_command() {
    listen
    : >"$opt/current/bin/edge-watch"
    fails systemctl restart $unit && within 10 told 'installed version is damaged; run install.sh' &&
        fails in_words $opt/current/bin/edge-doctor && said 'bin/edge-watch is empty' && said deploy/install.sh
}
emptied_module() {
    : >"$opt/current/$(cd $opt/current && echo lib/python3*/site-packages/edge/errors.py)"
    was=$(installed_version)
    in_words install || return 1
    said 'are damaged or missing' && wheels_are_kept_again && [ "$(installed_version)" != "$was" ] && runs_what_is_in_place
}

# killed_when COMMAND... : starts the upgrade, and kills it with all that it started once the command is true.
killed_when() {
    setsid sh -c "exec /payload/deploy/install.sh --offline /payload/wheels --wheel $newer $more" >/srv/said 2>&1 </dev/null &
    installer=$!
    until "$@"; do kill -0 "$installer" 2>/dev/null || break; done
    kill -9 "-$installer" # a group of its own
    wait "$installer" 2>/dev/null
    cat /srv/said
}
is_switched() { [ "$(readlink $opt/current)" != "$was" ]; }

# 2
killed_after_the_switch() {
    was=$(installed_version) more=''
    killed_when is_switched
    is_switched && same "$(running)" "$was" || return 1
    in_words upgrade && said 'cut short' && runs_what_is_in_place && is_switched && test -d "$opt/$was"
}
config_has() { grep -q "$1" "$config"; }
killed_after_the_configuration() {
    mkdir -p /srv/other && cp "$frames"/* /srv/other/
    was=$(installed_version) more='--source /srv/other' before=$(pid)
    killed_when config_has '^source = "/srv/other"'
    same "$(pid)" "$before" || return 1
    upgrade && within 30 works && [ "$(pid)" != "$before" ]
}

killed_after_the_model() {
    was=$(installed_version) more='--model /payload/models/hotdog-small.tflite' before=$(pid)
    killed_when cmp -s "$model" /payload/models/hotdog-small.tflite
    same "$(pid)" "$before" && cmp "$model" /payload/models/hotdog-small.tflite || return 1
    in_words upgrade --model /payload/models/hotdog-small.tflite && said 'cut short' && within 30 works &&
        config_has "^model = \"$model\"" && [ "$(pid)" != "$before" ]
}

killed_while_dpkg_worked() {
    dpkg --unpack /var/cache/apt/archives/python3-pil_*.deb >/dev/null && [ -n "$(dpkg --audit)" ] || return 1
    in_words upgrade && said 'an interrupted run of dpkg' && same "$(dpkg --audit)" '' && runs_what_is_in_place
}
# As where apt was killed alone: its dpkg is still at work, and has written into its journal.
dpkg_goes_on() {
    dpkg --unpack /var/cache/apt/archives/python3-pil_*.deb >/dev/null
    dpkg-query --status python3-pil >/var/lib/dpkg/updates/0001
    python3 -c 'import fcntl, time; lock = open("/var/lib/dpkg/lock", "w"); fcntl.lockf(lock, fcntl.LOCK_EX); time.sleep(8)' &
    sleep 1
    in_words upgrade && said 'an interrupted run of dpkg' && same "$(dpkg --audit)" '' && runs_what_is_in_place
}
killed_while_dpkg_unpacked() {
    sed -i '/^Package: libdeflate0$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status
    rm /var/lib/dpkg/info/libfribidi0:amd64.list # of another
    dpkg --audit
    in_words upgrade && said 'an interrupted run of dpkg' && same "$(dpkg --audit)" '' && runs_what_is_in_place
}

# 3
exits_at_its_start() {
    was=$(installed_version)
    fails in_words /payload/deploy/install.sh --offline /payload/wheels --wheel "$faulty" || return 1
    said 'going back' && same "$(installed_version)" "$was" && runs_what_is_in_place
}

# 4
others_packages() {
    site=/root/.local/lib/python3.11/site-packages
    mkdir -p $site/numpy $site/PIL $site/tflite_runtime $site/ai_edge_litert /root/.config/pip
    for name in numpy PIL tflite_runtime ai_edge_litert; do echo "raise SystemExit('a package of root')" >$site/$name/__init__.py; done
    printf '[global]\nuser = true\nrequire-virtualenv = true\nno-deps = true\n' | tee /etc/pip.conf >/root/.config/pip/pip.conf
    rm -rf "$opt/versions/"9.9.5-* # a link that leads nowhere is repaired as well
    PYTHONPATH=$site PIP_TARGET=/srv/target PIP_PREFIX=/srv/target upgrade && runs_what_is_in_place && not_there /srv/target &&
        $opt/current/bin/edge-watch --check
    status=$?
    rm -rf /root/.local /root/.config /etc/pip.conf
    return $status
}
home_is_hidden() {
    mkdir -p /home/pi/pictures && cp "$frames"/* /home/pi/pictures/
    cp /payload/models/hotdog-small.tflite /home/pi/
    before=$(pid)
    fails in_words upgrade --source /home/pi/pictures && said 'cannot see home folders' && same "$(pid)" "$before" &&
        upgrade --model /home/pi/hotdog-small.tflite && runs_what_is_in_place
}
check_is_the_services() {
    mkdir -m 700 /srv/closed && cp /payload/models/hotdog.tflite /srv/closed/
    cp -p "$config" /srv/config
    sed -i 's|^model = .*|model = "/srv/closed/hotdog.tflite"|' "$config"
    before=$(pid)
    fails in_words upgrade && said 'did not pass its check' && same "$(pid)" "$before"
    status=$?
    cp -p /srv/config "$config"
    return $status
}

# 6
restored_state() {
    systemctl stop $unit
    cp -rL $state /srv/backup && rm $state && cp -r /srv/backup $state && echo mine >$state/from-backup
    systemctl start --no-block $unit
    fails is_active && in_words upgrade && said 'restored as a folder' && within 30 works && test -L $state &&
        test -e $state/from-backup && test -d /var/lib/private/edge-classify.2*
}

# --- never silently wrong

# 7
pictures_that_cannot_be_written() {
    listen
    cp -p "$config" /srv/config
    sed -i 's|^#folder = .*|folder = "/srv/nowhere"|' "$config"
    systemctl restart $unit && within 30 works && kill -USR1 "$(pid)" && works && within 15 told '/srv/nowhere.*install.sh --snapshots /srv/nowhere' &&
        works && fails told 'works again' && fails in_words $opt/current/bin/edge-doctor && said 'install.sh --snapshots /srv/nowhere'
    status=$?
    cp -p /srv/config "$config" && systemctl restart $unit
    return $status
}
pictures_elsewhere() {
    in_words upgrade --snapshots /srv/kept && said 'usermod -aG edge-classify' && within 30 works || return 1
    kill -USR1 "$(pid)"
    works && within 15 pictures_are_in /srv/kept && useradd --groups edge-classify friend && setpriv --reuid friend --regid friend \
        --init-groups cat "$(find /srv/kept -name '*.jpg' | head -n 1)" >/dev/null && grep -q ReadWritePaths /etc/systemd/system/$unit.d/30-folders.conf
}
pictures_are_in() { [ -n "$(find "$1" -name '*.jpg' 2>/dev/null)" ]; }

# 8
current_folder_is_no_package() {
    mkdir -p /srv/trap/edge /srv/trap/numpy
    for name in json random zipfile edge/__init__ numpy/__init__; do echo 'raise SystemExit("the current folder")' >/srv/trap/$name.py; done
    before=$(pid)
    (cd /srv/trap && upgrade && $opt/current/bin/edge-classify "$frames"/00-photo.jpg) && same "$(pid)" "$before" &&
        same "$(find /srv/trap /payload/deploy -name '__pycache__')" ''
}

# 9
disabled_stays_disabled() {
    systemctl disable --now --quiet $unit
    in_words install && said 'is disabled, and remains disabled' && same "$(systemctl is-enabled $unit)" disabled && fails is_active &&
        systemctl enable --now --quiet $unit && within 30 works
}
masked_stays_masked() {
    systemctl stop $unit && mv /etc/systemd/system/$unit /srv/unit && ln -s /dev/null /etc/systemd/system/$unit && systemctl daemon-reload
    in_words upgrade && said 'is masked, and remains masked' && same "$(readlink /etc/systemd/system/$unit)" /dev/null
    status=$?
    mv /srv/unit /etc/systemd/system/$unit && systemctl daemon-reload && systemctl start $unit
    return $status
}
config_keeps_owner_and_mode() {
    groupadd owners && chown friend:owners "$config" && chmod 664 "$config"
    install --source "$frames" && same "$(stat -c '%U:%G %a' "$config")" 'friend:owners 664' && within 30 works
}
model_beside_an_edited_config() {
    sed -i 's|^model = .*|model = "/srv/my-own.tflite"  # mine|; s|^every = 0|every = 7|' "$config"
    cp /payload/models/hotdog-small.tflite /srv/my-own.tflite
    install --model /payload/models/hotdog.tflite && config_has "^model = \"$model\"" && config_has '^every = 7' && runs_what_is_in_place
}

config_is_taken() {
    sed 's|^every = 7|every = 8|' "$config" >/srv/new.toml
    echo 'nonsense = 1' >/srv/wrong.toml
    install --config /srv/new.toml && config_has '^every = 8' && grep -q '^every = 7' "$config.bak" && runs_what_is_in_place &&
        fails in_words install --config /srv/wrong.toml && said nonsense && config_has '^every = 8' && runs_what_is_in_place
    status=$?
    sed -i 's|^every = 8|every = 7|' "$config"
    return $status
}

# 10
back_and_forth() {
    install || return 1
    old=$(installed_version)
    upgrade && new=$(installed_version) && [ "$old" != "$new" ] || return 1
    in_words $opt/current/bin/edge-watch --version && said "from $opt/versions/9.9.5-" || return 1
    in_words /payload/deploy/install.sh --versions && said "${old##*/} .*previous" && said "${new##*/} .*current running" || return 1
    $opt/current/deploy/install.sh --back && same "$(installed_version)" "$old" && runs_what_is_in_place && config_has '^every = 7' &&
        $opt/current/deploy/install.sh --back && same "$(installed_version)" "$new" && runs_what_is_in_place
}

# --- refused or confusing

# 11
edited_unit_is_kept() {
    sed -i 's/^RestartSec=.*/RestartSec=3/' /etc/systemd/system/$unit
    in_words upgrade && said "$unit.bak" && grep -q RestartSec=3 /etc/systemd/system/$unit.bak && within 30 works
}
unreadable_config() {
    chmod 600 "$config"
    fails in_words upgrade && said "chmod o+r $config"
    status=$?
    chmod 644 "$config"
    return $status
}
full_tmp() {
    unshare --mount sh -c "mount -t tmpfs -o size=16k tmpfs /tmp && head -c 16k /dev/zero >/tmp/full
        rm -rf $opt/versions/0.2.0-*
        exec /payload/deploy/install.sh --offline /payload/wheels --wheel $(echo /payload/new/*.whl)" && runs_what_is_in_place
}
read_only_opt() {
    fails in_words unshare --mount sh -c "mount --bind /opt /opt && mount -o remount,bind,ro /opt
        exec /payload/deploy/install.sh --offline /payload/wheels --wheel $newer" && said 'read-only file system' && fails said apt-get
}
overlay_root_is_said() {
    mkdir /srv/overlay
    # shellcheck disable=SC2016  # of the inner shell
    unshare --mount sh -c 'mount -t tmpfs tmpfs /srv/overlay && mkdir /srv/overlay/up /srv/overlay/work /srv/overlay/root &&
        mount -t overlay -o lowerdir=/,upperdir=/srv/overlay/up,workdir=/srv/overlay/work overlay /srv/overlay/root &&
        for place in run proc dev payload; do mount --rbind /$place /srv/overlay/root/$place; done &&
        exec chroot /srv/overlay/root /payload/deploy/install.sh --dry-run --wheel '"$newer" >/srv/said 2>&1
    cat /srv/said
    said 'is an overlay'
}
# A user's own environment, and then numpy 2 by `sudo pip install`, as many guides have it: it comes before apt's.
numpy_of() { "$1" -c 'import numpy; print(numpy.__version__)'; }
numpy_2_in_usr_local() {
    python3 -m venv --system-site-packages /srv/own && /srv/own/bin/pip install --quiet --no-index \
        --no-deps /payload/wheels-tflite/tflite_runtime-*.whl "$(echo /payload/new/*.whl)" || return 1
    python3 "$(echo /usr/share/python-wheels/pip-*.whl)/pip" install --quiet --break-system-packages --no-index --no-deps \
        /payload/numpy2/numpy-2.*.whl
    fails same "$(numpy_of /srv/own/bin/python)" "$(numpy_of $opt/current/bin/python)" || return 1
    rm -rf "$opt"/versions/9.9.5-*
    upgrade && runs_what_is_in_place && numpy_is_the_systems tflite_runtime
}
# Its command, taken from the screen and run as it stands.
doctors_remedy_works() {
    /srv/own/bin/edge-doctor >/srv/said || :
    cat /srv/said
    remedy=$(sed -n 's/^ *\(.*pip uninstall -y numpy.*\)$/\1/p' /srv/said | head -n 1)
    echo 'APT::Install-Recommends "false";' >/etc/apt/apt.conf.d/90small # a compiler, which lies in no cache here
    remedy=$(echo "$remedy" | sed 's/apt install/apt install --yes/')
    eval "$remedy" || return 1
    same "$(numpy_of /srv/own/bin/python)" "$(numpy_of $opt/current/bin/python)" &&
        in_words /srv/own/bin/edge-classify "$frames"/00-photo.jpg
}
uninstall_takes_its_own() {
    sed -i '/^url = /d' "$config" # the broker is known from the state folder
    echo '# mine' >>/etc/udev/rules.d/60-edge-dma-heap.rules
    in_words $opt/current/deploy/uninstall.sh && test -e /etc/udev/rules.d/60-edge-dma-heap.rules && test -e "$model" && test -e "$config" &&
        getent group edge-classify && pictures_are_in /srv/kept && not_there $opt && not_there /etc/systemd/system/$unit
}
installed_again() { install && runs_what_is_in_place && config_has '^every = 7'; }
# A broker that asks for a password, which only the service has been given.
kept_by_broker() { mosquitto_sub -h 127.0.0.1 -u pi -P secret -t '#' --retained-only -W "$1" -F %t; }
has_told_broker() { kept_by_broker 1 | grep -q '/config$' && kept_by_broker 1 | grep -q '/state$'; }
broker_is_told() {
    systemctl stop mosquitto && rm -f /var/lib/mosquitto/mosquitto.db && mosquitto_passwd -b -c /etc/mosquitto/passwords pi secret &&
        chown mosquitto /etc/mosquitto/passwords || return 1
    printf 'listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/passwords\n' >/etc/mosquitto/conf.d/login.conf
    systemctl start mosquitto && sed -i '/^\[mqtt\]/a url = "mqtt://pi@127.0.0.1"' "$config"
    (umask 077 && echo secret >/etc/edge-classify/mqtt-password) # before the check tries the login
    install --with mqtt && within 60 has_told_broker
}
broker_has_forgotten() {
    said 'retained messages were removed from 127.0.0.1' && same "$(kept_by_broker 3)" ''
}
a_link_to_a_disk_stays() {
    systemctl stop $unit && mkdir /srv/disk && echo mine >/srv/disk/mine && rm -r /var/lib/private/edge-classify $state && ln -s /srv/disk $state
    in_words $opt/current/deploy/uninstall.sh --purge && said 'leads to /srv/disk, which stays' && test -e /srv/disk/mine && rm $state
}
without_systemd() { unshare --mount sh -c 'mount -t tmpfs tmpfs /run/systemd && exec "$@"' sh "$@"; }
no_systemd_is_said() {
    fails in_words without_systemd /payload/deploy/install.sh --wheel "$newer" && said 'install.sh --no-service' && not_there $opt
}
commands_without_the_service() {
    without_systemd /payload/deploy/install.sh --no-service --offline /payload/wheels --wheel "$newer" &&
        $opt/current/bin/edge-classify "$frames"/00-photo.jpg && not_there /etc/systemd/system/$unit &&
        without_systemd $opt/current/deploy/uninstall.sh --purge && not_there $opt
}

check '12. install.sh asks for a folder where there is no camera, and classifies it' folder_is_asked_for
check 'what is installed can be moved to another card' is_kept_for_trixie
check '1. an emptied command: the unit and edge-doctor say what to run' emptied_command
check '1. ... and an emptied module: the version is built again' emptied_module
check '2. killed after the switch: a second run finishes, and what ran is kept' killed_after_the_switch
check '2. killed after the configuration was put: a second run restarts' killed_after_the_configuration
check '2. killed after the model was put: a second run takes it' killed_after_the_model
check '2. killed while dpkg worked: a second run lets it finish' killed_while_dpkg_worked
check '2. ... also where dpkg is still at work' dpkg_goes_on
check '2. ... or while dpkg unpacked a package: it is taken from its archive' killed_while_dpkg_unpacked
check '3. a version that exits with 1 at its start is rolled back' exits_at_its_start
check "4. others' packages and pip.conf do not leak in" others_packages
check '4. a source in a home folder is refused, a model there is copied' home_is_hidden
check '4. the check has no more rights than the service' check_is_the_services
check '6. a state folder restored from a backup is repaired' restored_state
check '7. pictures that cannot be written: the log and edge-doctor say what to run' pictures_that_cannot_be_written
check '7. install.sh --snapshots: pictures elsewhere are written, and the group may look' pictures_elsewhere
check "8. the current folder's code is not run" current_folder_is_no_package
check '9. a disabled service stays disabled' disabled_stays_disabled
check '9. a masked service stays masked' masked_stays_masked
check '9. the configuration keeps its owner and mode' config_keeps_owner_and_mode
check '9. install.sh --model takes effect in an edited configuration' model_beside_an_edited_config
check '9. install.sh --config takes a file, and keeps the last; a wrong one changes nothing' config_is_taken
check '10. install.sh --versions, --back, and forward again' back_and_forth
check '11. an edited unit is kept as .bak' edited_unit_is_kept
check '11. an unreadable configuration: the cause is said' unreadable_config
check '11. a full /tmp does not matter' full_tmp
check '11. a read-only /opt: the cause is said' read_only_opt
check '11. an overlay root is said' overlay_root_is_said
check '11. a numpy 2 in /usr/local does not matter to the service' numpy_2_in_usr_local
check "11. ... and in a user's own environment edge-doctor's remedy works" doctors_remedy_works
check '9. a broker that asks for a password keeps what the service has told it' broker_is_told
check '9. uninstall.sh takes what install.sh brought' uninstall_takes_its_own
check '9. ... and has the broker forget the device' broker_has_forgotten
check '11. installed again: the edited configuration and its model work' installed_again
check '9. uninstall.sh --purge leaves a disk that the state folder leads to' a_link_to_a_disk_stays
check '11. no systemd: said before anything is built' no_systemd_is_said
check '11. install.sh --no-service installs the commands' commands_without_the_service
