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

# type_commands NAME: the commands of one shell, each with what it said and how it ended.
type_commands() {
    number=0
    while IFS= read -r line; do
        number=$((number + 1))
        echo "\$ $line" >&2
        eval "$line" >"/payload/$1-$number" 2>&1 </dev/null
        ended=$?
        cat "/payload/$1-$number" >&2
        echo "$1 $number $ended" >>/payload/statuses
    done <"/payload/$1"
}

ended_with() { grep -qx "$1 $2 $3" /payload/statuses; }
all_ended_well() { [ "$(grep -c "^$1 .* 0$" /payload/statuses)" = "$(grep -c . "/payload/$1")" ]; }
says() { grep -q -- "$3" "/payload/$1-$2"; }
state_is() { [ "$(systemctl show --property ActiveState --value "$unit")" = "$1" ]; }

is_back() { [ "$new" != "$was" ] && [ "$(version)" = "$was" ]; }
camera_is_missing() { ! deploy/install.sh --source camera 2>/payload/camera && cat /payload/camera >&2 && grep -q picamera2: /payload/camera; }
is_gone() { [ ! -e /opt/edge-classify ] && [ ! -e "/etc/systemd/system/$unit" ]; }
classifies() { within 60 state_is active && within 60 latest_says hotdog; }
latest_says() { grep -q "\"label\": \".*$1\"" /run/edge-classify/latest.json; }
version() { readlink /opt/edge-classify/current; }
saves_pictures() {
    systemctl kill -s USR1 "$unit"
    new_picture
    within 15 has_pictures
}
new_picture() { cp /payload/frames/00-photo.jpg /srv/pictures/.new && mv /srv/pictures/.new /srv/pictures/new.jpg; }
has_results() { [ "$(grep -c '"label"' /var/lib/edge-classify/results.jsonl)" -ge "$1" ]; }
has_pictures() { [ -n "$(find /srv/snapshots -name '*.jpg')" ]; }
is_restored() { grep -q '^every = 11' "$config" && test -e /var/lib/edge-classify/mine && test -L /var/lib/edge-classify; }

play() { ansible-playbook -i localhost, -c local playbook.yml >"/payload/play-$1" 2>&1 && cat "/payload/play-$1" >&2; }
plays() { play "$1" && grep -q "$2" "/payload/play-$1"; }

# build_image: the steps of the Containerfile, on this system, which is Debian's as its base is.
# shellcheck disable=SC2086  # of COPY, several words, with patterns
build_image() {
    sed -e ':a' -e '/\\$/{N;s/\\\n//;ta' -e '}' /payload/Containerfile | while read -r step rest; do
        case $step in
        COPY) copy_into $rest ;;
        RUN) sh -c "$rest" </dev/null ;;
        esac || return 1
    done
}
# copy_into SOURCE... FOLDER: of a folder what is in it, as COPY does.
copy_into() {
    for folder; do :; done
    mkdir -p "$folder"
    while [ $# -gt 1 ]; do
        if [ -d "$1" ]; then cp -r "$1/." "$folder"; else cp "$1" "$folder"; fi
        shift
    done
}

export USER=root HOME=/root
: >/payload/statuses
cp -r /payload/frames /srv/pictures
cd /root || exit
type_commands commands
check '1. apt installs git' ended_with commands 1 0
check '2. git clones the checkout' ended_with commands 2 0
check '3. install.sh builds the package and installs it' ended_with commands 3 0
check '3. it says that this system has no camera' says commands 3 'apt has no python3-picamera2'
check '4. tail shows the results' ended_with commands 4 0
check '... of a service that is active' classifies
check '... each picture has its line' within 30 has_results 10
new_picture
check '... and a new one as well' within 30 has_results 11
check 'edge-doctor finds nothing that stops the work' /opt/edge-classify/current/bin/edge-doctor
check 'root has left nothing in the checkout' [ -z "$(git -C /root/edge-classify status --short --ignored)" ]

type_commands pictures
check 'install.sh --snapshots' all_ended_well pictures
check '... saves pictures' saves_pictures

sed -i 's/^every = .*/every = 11/' "$config"
touch /var/lib/edge-classify/mine
type_commands backup
check 'a backup' all_ended_well backup
sed -i 's/^every = .*/every = 0/' "$config"
rm -r /var/lib/edge-classify/mine
type_commands restore
check '... is restored' all_ended_well restore
check '... with configuration and state' is_restored
check '... and classifies' classifies

was=$(version)
sed -i 's/^__version__ = .*/__version__ = "9.9.9"/' edge/__init__.py
deploy/install.sh >&2
new=$(version)
type_commands back
check 'install.sh --versions and --back' all_ended_well back
check "... go back" is_back
check '... and classify' classifies

check 'a camera that is not there is no source: what is missing is said ...' camera_is_missing
check '... and the folder is classified as before' classifies

type_commands remove
check 'uninstall.sh' all_ended_well remove
check "... removes what was installed" is_gone

cd /root/edge-classify || exit
cp -r /payload/dist /payload/playbook.yml .
DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends install ansible-core >&2
check 'the Ansible playbook installs' plays 1 'changed=3 '
check '... and classifies' classifies
check '... and a second run changes nothing' plays 2 'changed=0 '
type_commands remove
check 'the steps of the Containerfile' build_image
check '... install the commands' /opt/edge-classify/current/bin/edge-classify /payload/frames/00-photo.jpg
echo 'done'
