#!/bin/sh
# Installs edge-watch as a service on Raspberry Pi OS or Debian; see install.sh --help.
# Nothing that runs is touched before the new version has passed its own check: it is built beside the last one, and a
# link is switched. Every step may be cut short or repeated; a second run finishes it, or finds nothing to do.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=places.sh
. "$here/places.sh"
# shellcheck source-path=SCRIPTDIR source=machine.sh
. "$here/machine.sh"
# shellcheck source-path=SCRIPTDIR source=pip.sh
. "$here/pip.sh"
# shellcheck source-path=SCRIPTDIR source=version.sh
. "$here/version.sh"
# shellcheck source-path=SCRIPTDIR source=settings.sh
. "$here/settings.sh"
# shellcheck source-path=SCRIPTDIR source=unit.sh
. "$here/unit.sh"
# shellcheck source-path=SCRIPTDIR source=sandbox.sh
. "$here/sandbox.sh"
# shellcheck source-path=SCRIPTDIR source=switch.sh
. "$here/switch.sh"
# shellcheck source-path=SCRIPTDIR source=instance.sh
. "$here/instance.sh"

model='' new_config='' wheel='' extras='' offline='' source='' snapshots='' no_service='' packaged='' dry_run='' back='' versions='' wanted_instance=''
new_unit=$here/$unit_name
at='' unfinished='' changed='' first=''

usage() {
    cat <<END
usage: sudo deploy/install.sh [--source SOURCE] [--model FILE] [--config FILE] [--snapshots DIR] [--with NAMES]
                              [--wheel FILE] [--offline DIR] [--no-service] [--packaged] [--dry-run]
       sudo deploy/install.sh --instance NAME [--source SOURCE] [--model FILE] [--config FILE] [--snapshots DIR] [--dry-run]
       sudo deploy/install.sh --back | --versions

Installs edge-watch as a service, or a new version of it, and starts it.

  --source SOURCE camera (the default), /dev/video0 (a USB webcam), rtsp://user@host/path, http://host/stream.mjpg, or a
                  folder: the images in it, and those that are added later. It writes what the unit needs for it
  --model FILE    classify with this .tflite file (default: the shipped one)
  --config FILE   install this file as $config; the last one is kept as ${config##*/}.bak
  --snapshots DIR save an image of each state change in this folder; members of the group $shared_group can read them
  --with NAMES    optional parts, such as web,mqtt: web (the live page, metrics), mqtt, video (rtsp:// and video files;
                  --source adds it), sun (hours by sunrise and sunset), notify (notifications); added to those that are
                  installed; --with none removes them
  --wheel FILE    the package (default: the newest edge_classify-*.whl in the --offline folder or beside this script; else
                  it is built from this checkout)
  --offline DIR   use no network: pip takes packages from this folder, apt from its cache
  --instance NAME add a service edge-watch@NAME for another camera or folder; its settings are in
                  /etc/edge-classify/NAME.toml; upgrades and --back apply to all services
  --no-service    install the commands only, for a system without systemd (a container, WSL)
  --packaged      do not call apt, which cannot run while it installs a .deb; for the Debian package
  --back          go back to the version before the last upgrade; a second time goes forward again
  --versions      list the installed versions
  --dry-run       print each step, and change nothing

For Raspberry Pi OS and Debian: bookworm (64- and 32-bit) and trixie (64-bit). The system's own numpy and picamera2 are
used, and not changed. The new version is checked before the service switches to it; if the check fails, the last version
keeps running. What you changed in $config is kept. Run it again at any time.

  sudo deploy/install.sh                                   a camera, the shipped model
  sudo deploy/install.sh --source /srv/pictures            a folder of images
  sudo deploy/install.sh --source /dev/video0              a USB webcam
  sudo deploy/install.sh --source rtsp://admin@192.168.1.20/stream1    a network camera
  sudo deploy/install.sh --model out/model-int8.tflite     your own model
  sudo deploy/install.sh --with web,mqtt                   with a live page and MQTT, which $config switches on
  deploy/push.sh pi@raspberrypi.local                      from a workstation, over ssh
  sudo deploy/install.sh --instance door --source /dev/video1     a second camera, as edge-watch@door
  journalctl -u edge-watch -f                              its log
  sudo $opt/current/deploy/uninstall.sh    remove it

Exit status: 0 done, 1 something failed (the last version stays), 2 wrong usage.
END
}

wrong() {
    say "$*; install.sh --help shows how"
    exit 2
}

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --model | --config | --wheel | --with | --offline | --source | --snapshots | --instance)
            [ -n "${2-}" ] || wrong "$1 must be followed by a value"
            ;;
        esac
        case $1 in
        --model) model=$2 && shift ;;
        --config) new_config=$2 && shift ;;
        --wheel) wheel=$2 && shift ;;
        --with) extras=$2 && shift ;;
        --offline) offline=$2 && shift ;;
        --source) source=$2 && shift ;;
        --snapshots) snapshots=$2 && shift ;;
        --instance) wanted_instance=$2 && shift ;;
        --no-service) no_service=yes ;;
        --packaged) packaged=yes ;;
        --back) back=yes ;;
        --versions) versions=yes ;;
        --dry-run) dry_run=yes ;;
        -h | --help) usage && exit ;;
        *) wrong "unknown option $1" ;;
        esac
        shift
    done
    check_options
}

check_options() {
    [ -z "$model" ] || [ -f "$model" ] || wrong "--model $model: no such file"
    [ -z "$new_config" ] || [ -f "$new_config" ] || wrong "--config $new_config: no such file"
    [ -z "$wheel" ] || [ -f "$wheel" ] || wrong "--wheel $wheel: no such file"
    [ -z "$offline" ] || [ -d "$offline" ] || wrong "--offline $offline: no such folder"
    [ -z "$offline" ] || offline=$(cd -- "$offline" && pwd)
    case $source in
    '' | camera | camera:* | /dev/video[0-9]* | /dev/v4l/* | http://* | https://*) ;;
    rtsp://* | rtsps://*) ;;
    *)
        [ -d "$source" ] || wrong "--source $source: no such folder"
        source=$(cd -- "$source" && pwd)
        ;;
    esac
    case $snapshots in '' | /*) ;; *) wrong "--snapshots must be an absolute path. Received: $snapshots" ;; esac
    [ -z "$back$versions" ] || [ -z "$model$new_config$wheel$source$snapshots$extras" ] ||
        wrong '--back and --versions take no other options'
    if [ -n "${wanted_instance-}" ]; then
        check_instance_name "$wanted_instance"
        [ -z "$back$versions$wheel$extras$no_service" ] ||
            wrong '--instance takes --source, --model, --config and --snapshots; the version and its parts are for all services'
    fi
    choose_parts "$extras"
}

# choose_parts NAMES: those, and those of before.
choose_parts() {
    extras=$(cat "$record/with" 2>/dev/null || :)
    if [ "$1" = none ] || [ "$extras" = none ]; then extras=''; fi
    if [ "$1" != none ]; then
        for part in $(echo "$1" | tr , ' '); do
            case $part in web | mqtt | video | sun | notify) add_part "$part" ;;
            *) wrong "--with must be web, mqtt, video, sun or notify, with commas between, or none. Received: $1" ;;
            esac
        done
    fi
    case $source in rtsp*) add_part video ;; esac
}

add_part() { case ,$extras, in *",$1,"*) ;; *) extras=${extras:+$extras,}$1 ;; esac }

# Without a camera the first run would end in a service that waits for one.
ask_source() {
    if [ -n "$source$new_config$no_service$dry_run" ] || [ -e "$config" ] || has_picamera2 || ! [ -t 0 ]; then return 0; fi
    printf 'This system has no software for a camera. Folder of images to classify (empty: none yet): ' >&2
    read -r source || :
    [ -z "$source" ] || [ -d "$source" ] || wrong "$source: no such folder"
}

# shellcheck disable=SC2317  # called by a trap
clean_up() {
    status=$?
    trap - EXIT
    # shellcheck disable=SC2031  # a subshell has one of its own
    rm -rf -- "$work"
    [ -z "$unfinished" ] || rm -rf -- "$unfinished"
    [ -n "$dry_run" ] || [ -n "$no_service" ] || remove_check_unit
    rmdir -- "$opt/versions" "$opt" 2>/dev/null || : # nothing came of it
    [ "$status" = 0 ] || [ -z "$at" ] || say "stopped while $at; fix what is reported above, then run this again"
    exit "$status"
}

begin() {
    one_at_a_time
    make_work
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ ! -d "$pending" ] || [ -n "$wanted_instance" ]; then return 0; fi
    say 'the last installation was cut short; this one finishes it'
    changed=yes
}

# A unit that is not there, or that a first run has put which was cut short.
find_out_whether_first() {
    if [ -d "$pending" ]; then last_unit=$pending/$unit_name; else last_unit=$unit; fi
    if [ ! -e "$last_unit" ] && ! is_masked; then first=yes; fi
}

prepare() {
    install_packages
    if [ -z "$no_service" ]; then
        make_groups video render
        repair_state
    fi
    find_wheel
    name_version
    build_version
    keep_scripts
    render_config
    [ -n "$no_service" ] || check_folders
    make_snapshots_folder
    render_dropins
    check_version "$target"
    [ -n "$no_service" ] || check_instances "$target"
    unfinished=''
}

put_in_place() {
    put_model
    put_config
    if [ -z "$no_service" ]; then
        put_rule
        put_unit
        put_secrets
        put_dropins
    fi
    switch_link "versions/${target##*/}"
    start_or_go_back
    remove_old_versions
}

conclude() {
    if [ -n "$dry_run" ]; then return 0; fi
    mkdir -p "$record"
    echo "${extras:-none}" >"$record/with"
    if [ -n "$no_service" ]; then
        say "${target##*/} is installed without the service; the commands are in $opt/current/bin"
        return
    fi
    tell_parts
    status=$(property StatusText)
    say "${target##*/} is $(property ActiveState)${status:+: $status}; journalctl -u edge-watch -f shows more"
    results=$(configured results.file)
    [ -z "$results" ] || say "each image's result: sudo tail -F $results"
}

read_options "$@"
if [ -n "$versions" ]; then
    list_versions
    exit
fi
check_machine
begin
if [ -n "$wanted_instance" ]; then
    add_instance "$wanted_instance"
    exit
fi
find_out_whether_first
ask_source
if [ -n "$back" ]; then
    go_back
else
    prepare
    put_in_place
fi
conclude
