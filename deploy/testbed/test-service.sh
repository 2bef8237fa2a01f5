#!/bin/sh
# Does the service keep its promises under a real systemd? test-service.sh [service] [instances] [sources] [acting] [faults]
# A Debian bookworm as on a fresh card boots in a container without a network; install.sh is run in it, and the service is
# killed, frozen, starved, misled, upgraded and removed. Then a Debian trixie boots with what was installed on bookworm, as
# after an upgrade in place. One line a check; "service" is what is tried in service-trial.sh, "instances" in instance-trial.sh,
# "sources" in sources-trial.sh, "acting" in acting-trial.sh, "faults" in faults-trial.sh and trixie-trial.sh. All,
# where nothing is named.
# Run as root, from the root of the repository; PYTHON names an interpreter whose pip builds the wheel. FULL=1 tries the
# unit's own times and ten minutes without a source, instead of shorter ones.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=stoppable.sh
. "$here/stoppable.sh"
# shellcheck source-path=SCRIPTDIR source=needs.sh
. "$here/needs.sh"
# shellcheck source-path=SCRIPTDIR source=container.sh
. "$here/container.sh"

full=${FULL:-}
limit=3600 # seconds for the whole trial; usual is a sixth, where nothing else is done

check_prerequisites() {
    need_containers
    need_x86_64 'boots an x86-64 system'
    need_pip
    need_command ssh openssh-client
    case $parts in
    *sources*)
        /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null ||
            need 'no RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly'
        ;;
    esac
    nothing_is_missing
}

# What the container sees as /payload.
make_payload() {
    fill_payload
    cp -r "$cache/wheels" "$cache/numpy2" "$payload/"
    mkdir "$payload/wheels-tflite"
    cp -- "$payload"/wheels/tflite_runtime-* "$payload/wheels-tflite/"
    other_version 9.9.1 answers
    other_version 9.9.2 crash
    other_version 9.9.3 hang
    other_version 9.9.4 exit
    other_version 9.9.5 none
    cp -- "$here/trial.sh" "$here/service-trial.sh" "$here/faults-trial.sh" "$here/trixie-trial.sh" \
        "$here/instance-trial.sh" "$here/sources-trial.sh" "$here/acting-trial.sh" tests/notify_target.py "$payload/"
    case $parts in *sources*) make_sources ;; esac
    echo "full='$full' parts='$parts'" >"$payload/settings"
}

# What decodes, for the Python of bookworm, and a video.
make_sources() {
    run 600 "$python" -m pip download --quiet --no-deps --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 \
        --abi abi3 --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --dest "$payload/wheels" 'av>=14' >&2
    run 60 env PYTHONPATH=tests "$python" -c "
from pathlib import Path
from videos import write_video
write_video(Path('$payload/clip.mp4'), seconds=20)" >&2
}

prepare_root() {
    cp -a -- "$cache/root" "$root"
    mkdir -p "$root/root/.ssh"
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    install -m 600 "$work/key.pub" "$root/root/.ssh/authorized_keys"
    add_trial "$root" service-trial.sh
}

# The first process of the container.
find_leader() { leader=$(pgrep -P "$(pgrep -f "systemd-nspawn .*$root" | tail -n 1)" | head -n 1); }

# A camera in the container's network, which is its own.
serve() {
    find_leader
    RTSP_PASSWORD='p@ss:w/rd %' nsenter --target "$leader" --net /usr/bin/python3 tests/rtsp_server.py 8554 >/dev/null 2>&1 &
    server=$!
}

# An ssh that needs no network: the server runs on the client's pipe, in the container.
write_ssh() {
    find_leader
    cat >"$work/ssh" <<END
#!/bin/sh
exec ssh -q -F /dev/null -i "$work/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \\
    -o ProxyCommand='nsenter --target $leader --all sh -c "mkdir -p /run/sshd; exec /usr/sbin/sshd -i"' "\$@"
END
    chmod +x "$work/ssh"
}

# push USER OPTIONS...: root by a key; pi must type a password for sudo, in a terminal.
push() {
    write_ssh
    user=$1
    shift
    set -- deploy/push.sh "$user@container" --offline "$payload/wheels" --wheel "$(echo "$payload"/new/*.whl)" "$@"
    export EDGE_SSH="$work/ssh"
    if [ "$user" = pi ]; then type_secret | script --quiet --return --command "$*" /dev/null; else "$@" </dev/null; fi
}

# As a person would: once it is asked for, which push.sh's output says.
type_secret() {
    left=300
    until grep -q 'password for' "$payload/pushed.log" || [ "$left" = 0 ]; do
        sleep 0.2
        left=$((left - 1))
    done
    sleep 2
    echo secret
}

# Shows answers as they come, and pushes when the trial asks for it: the file has a user and options.
attend() {
    : >"$payload/answers"
    tail -n +1 -f "$payload/answers" &
    tail=$!
    server=''
    trap 'kill "$tail" $server; exit' TERM
    while kill -0 "$tail"; do
        if [ -e "$payload/serve-now" ]; then
            rm "$payload/serve-now"
            serve
        fi
        if [ -e "$payload/push-now" ]; then
            read -r wish <"$payload/push-now"
            rm "$payload/push-now"
            # shellcheck disable=SC2086  # words
            push $wish >"$payload/pushed.log" 2>&1 && status=0 || status=$?
            echo "$status" >"$payload/pushed.new"
            mv "$payload/pushed.new" "$payload/pushed"
        fi
        sleep 0.2
    done
}

stop_attending() {
    [ -z "$attendant" ] || kill "$attendant" 2>/dev/null || :
    attendant=''
}

parts=${*:-service instances sources acting faults}
for part in $parts; do
    case $part in service | instances | sources | acting | faults) ;; *) say "unknown: $part; service, instances, sources, acting, faults, or nothing for all" && exit 2 ;; esac
done
attendant=''
check_prerequisites || exit 1
begin stop_attending
root=$work/bookworm

PYTHON=$python run 1800 "$here/service-root.sh" >"$work/cache"
cache=$(cat "$work/cache")
make_payload
prepare_root

# boot ROOT: the trial in it runs; its answers are shown, and judged.
boot() {
    say "booting ${1##*/} (at most $limit s)"
    attend &
    attendant=$!
    boot_container "$limit" "$1" --private-network
    sleep 0.5 # the last answers are on their way
    stop_attending
    if ! grep -q '^done' "$payload/answers"; then
        tail -n 20 "$work/console" >&2
        cat "$payload/trial.log" >&2
        if [ "$ended" = 124 ]; then say "no end within $limit s"; else say "the container ended early (exit status $ended)"; fi
        exit 1
    fi
    if grep -q '^FAIL' "$payload/answers"; then
        cat "$payload/trial.log" >&2
        failed=yes
    fi
}

# What was installed on bookworm, on a system whose Python is another.
prepare_trixie() {
    cp -a -- "$cache/trixie" "$work/trixie"
    tar -C "$work/trixie" -xf "$payload/moved.tar"
    add_trial "$work/trixie" trixie-trial.sh
}

failed=''
boot "$root"
case $parts in
*faults*)
    prepare_trixie
    boot "$work/trixie"
    ;;
esac
[ -z "$failed" ]
