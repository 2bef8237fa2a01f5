# shellcheck shell=sh disable=SC2317,SC2154,SC2030,SC2031
# Sourced by service-trial.sh where nothing is installed: a state change leaves the sandbox as a notification with its
# picture, at a real server in the container, and the unit may use pins. No kernel of Debian simulates pins: gpiozero's own
# mock stands for the chip, and lgpio, which drives a real one, is loaded for the folder that it must write into.

with_pin() { printf '\n[[action]]\ngpio = "GPIO17"\n' >>"$1"; }

# A server at an address with a password: its URL is written for the service, its first picture to /srv/notified.jpg.
listen_for_notifications() {
    cat >/srv/listen.py <<'END_OF_SERVER'
import sys, time
sys.path.insert(0, "/payload")
from notify_target import Target
target = Target()
open("/srv/notify-urls", "w").write(target.url + "\n")
while not (target.bodies and target.images()):
    time.sleep(0.1)
open("/srv/notified.jpg", "wb").write(target.images()[0])
END_OF_SERVER
    python3 /srv/listen.py &
    within 10 test -s /srv/notify-urls
}

install_acting() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends --no-download install python3-gpiozero || return 1
    install_sh --offline /payload/wheels --source "$frames" && within 30 is_active && listen_for_notifications || return 1
    mkdir -p "${dropin%/*}" && printf '[Service]\nEnvironment=GPIOZERO_PIN_FACTORY=mock\n' >"$dropin"
    sed -i '/^\[notify\]/,/^#on/ s|^#on = false|on = true|' "$config" && with_pin "$config"
    (umask 077 && cp /srv/notify-urls /etc/edge-classify/notify-urls)
    listen
    install_sh --offline /payload/wheels --with notify && within 30 is_active
}

dropins_are_put() {
    cmp "${dropin%/*}/20-network.conf" /payload/deploy/network.conf && cmp "${dropin%/*}/35-gpio.conf" /payload/deploy/gpio.conf
}

unit_may_use_pins() {
    property DeviceAllow | grep -q 'char-gpiochip rw' &&
        grep -q "^Groups:.*\b$(getent group gpio | cut -d : -f 3)\b" "/proc/$(pid)/status"
}

picture_is_delivered() {
    within 60 is_notified &&
        python3 -c 'import PIL.Image; PIL.Image.open("/srv/notified.jpg").load()' && fails told a-password-in-a-url
}

is_notified() { takes_a_new_picture && test -s /srv/notified.jpg; }

# lgpio_writes UNIT: loaded within that unit, it begins a file in its folder. Debian's bookworm has none; Raspberry Pi's has.
lgpio_writes() {
    python3 "$(echo /usr/share/python-wheels/pip-*.whl)/pip" install --quiet --no-index --upgrade --target /srv/lgpio \
        /payload/wheels/lgpio-*.whl || return 1
    printf '[Service]\nEnvironment=PYTHONPATH=/srv/lgpio\nExecStartPre=/usr/bin/python3 -c "import lgpio"\n' \
        >"/etc/systemd/system/$1.d/lgpio.conf"
    systemctl daemon-reload
    systemctl restart "$1" && within 30 same "$(systemctl is-active "$1")" active
    status=$?
    rm "/etc/systemd/system/$1.d/lgpio.conf" && systemctl daemon-reload
    return $status
}

of_door() { (unit=edge-watch@door.service && "$@"); }

# Of its own, since the first one's folder is not its to write into.
second_one_has_a_pin() {
    door=edge-watch@door.service
    mkdir -p /srv/door "/etc/systemd/system/$door.d" && cp /payload/frames/* /srv/door/ && cp "$dropin" "/etc/systemd/system/$door.d/"
    /payload/deploy/install.sh --instance door --source /srv/door && with_pin /etc/edge-classify/door.toml &&
        /payload/deploy/install.sh --instance door && lgpio_writes "$door" && same "$(systemd-analyze verify "$door" 2>&1)" '' &&
        of_door unit_may_use_pins && of_door exposure
}

acting_leaves_nothing() {
    rm -r /srv/door /srv/lgpio /srv/notif* /srv/listen.py && rm "$dropin" "/etc/systemd/system/edge-watch@door.service.d/${dropin##*/}"
    /payload/deploy/uninstall.sh --purge && same "$(leftovers)" ''
}

check 'install.sh --with notify, and with a pin' install_acting
check 'it puts the drop-ins of network and pins' dropins_are_put
check 'systemd accepts them without a word' same "$(systemd-analyze verify "$unit" 2>&1)" ''
check 'exposure is at most 1.7 with both' exposure
check 'the service is in the group of the pins, and may open their chips' unit_may_use_pins
check 'a state change is delivered with its picture, and no line shows the URL' picture_is_delivered
check 'lgpio can write into its folder' lgpio_writes "$unit"
check 'all the same for a second service with a pin' second_one_has_a_pin
check 'uninstall.sh --purge leaves nothing' acting_leaves_nothing
