#!/bin/sh
# Runs in the containers and machines that test-deb.sh boots, as root: a line a check on stdout, "done" at the end.
# shellcheck disable=SC2317  # checks are called by name
set -u

# shellcheck source-path=SCRIPTDIR source=trial.sh
. /payload/trial.sh

works() { takes_a_new_picture; }
apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends "$@" </dev/null; }
version() { installed_version | sed 's|^versions/\([^-]*\)-.*|\1|'; }
is_whole() { same "$(dpkg --audit)" ''; }
what_there_is() {
    find / -xdev \( -path /payload -o -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /srv \
        -o -path /var/log -o -path /var/cache -o -path '/var/lib/dpkg' -o -path /var/lib/apt -o -path /var/lib/systemd \
        -o -name '__pycache__' \) -prune -o -print | sort
}

# What the package needs comes before, so that what is there then is what must be there at the end.
needs_are_met() {
    apt_get install python3-venv python3-numpy python3-pil && what_there_is >/srv/before
}
is_installed() {
    apt_get install /payload/this/*.deb && is_whole && same "$(systemctl is-enabled $unit)" enabled && edge-classify --version &&
        edge-classify "$frames"/00-photo.jpg
}
# In emulation a frame takes the default model seconds, and on a busy host its check a minute.
classifies_a_folder() {
    [ -z "$emulated" ] || sed -i 's|^#model = .*|model = "/payload/models/hotdog-small.tflite"|' "$config"
    sed -i "s|^source = .*|source = \"$frames\"|; s|^every = .*|every = 7|" "$config" && systemctl restart $unit && within 30 works
}
is_upgraded() {
    apt_get install /payload/next/*.deb && is_whole && same "$(version)" 9.9.5 && within 30 works && grep -q '^every = 7' "$config"
}
goes_back_and_forth() {
    sh /opt/edge-classify/current/deploy/install.sh --back && [ "$(version)" != 9.9.5 ] && within 30 works &&
        sh /opt/edge-classify/current/deploy/install.sh --back && same "$(version)" 9.9.5 && within 30 works
}
faulty_is_refused() {
    fails apt_get install --allow-downgrades /payload/faulty/*.deb && same "$(version)" 9.9.5 && within 30 works
}
is_mended() { apt_get install /payload/next/*.deb && is_whole && same "$(version)" 9.9.5 && within 30 works; }
is_removed() {
    apt_get remove edge-classify && is_whole && not_there /opt/edge-classify && not_there "/etc/systemd/system/$unit" &&
        fails systemctl is-active $unit && grep -q '^every = 7' "$config"
}
is_installed_again() { apt_get install /payload/this/*.deb && within 30 works && grep -q '^every = 7' "$config"; }
is_purged() { apt_get purge edge-classify && is_whole && what_there_is >/srv/after && diff /srv/before /srv/after; }

mkdir -p $frames
cp /payload/frames/* $frames/
check 'what the package needs comes from Debian' needs_are_met
check 'apt installs it, and the commands are there' is_installed
check 'the service classifies a folder' classifies_a_folder
check 'apt upgrades it, and what was configured is kept' is_upgraded
if [ -z "$emulated" ]; then
    check 'install.sh --back, and forward again' goes_back_and_forth
    check 'a version that does not start: apt says so, and the last one runs' faulty_is_refused
    check '... and the next installation repairs that' is_mended
fi
check 'apt removes it; what was configured stays' is_removed
check '... and serves the next installation' is_installed_again
check 'apt purges it: no file is left that was not there before' is_purged
echo 'done'
