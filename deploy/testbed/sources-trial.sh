# shellcheck shell=sh disable=SC2317,SC2154
# Sourced by service-trial.sh where nothing is installed: network cameras and a video file under the unit's own hardening, with
# what install.sh --source brings for each. The RTSP server runs outside, in the container's network.

secret='p@ss:w/rd %'
camera=rtsp://pi@127.0.0.1:8554/h264

serve() {
    : >/payload/serve-now
    within 30 grep -q '0100007F:216A 00000000:0000 0A' /proc/net/tcp
}

install_rtsp() { serve && install_sh --offline /payload/wheels --source "$camera" && within 30 told 'wrong user or password'; }

password_is_handed_over() {
    (umask 077 && echo "$secret" >/etc/edge-classify/camera-password)
    systemctl restart "$unit"
    within 60 works
}

decoder() { pgrep -P "$(pid)" -f edge.sources.video.decoder; }

decoder_is_confined() {
    status=/proc/$(decoder)/status
    same "$(awk '/^Uid/ { print $2 }' "$status")" "$(awk '/^Uid/ { print $2 }' "/proc/$(pid)/status")" &&
        same "$(awk '/^CapEff/ { print $2 }' "$status")" 0000000000000000 && same "$(awk '/^Seccomp:/ { print $2 }' "$status")" 2
}

decoder_comes_back() {
    was=$(pid)
    kill -9 "$(decoder)" && within 30 works && same "$(pid)" "$was"
}

password_is_nowhere() {
    fails grep -r -q -a -F -e "$secret" -e 'p%40ss' /run/edge-classify /var/lib/private/edge-classify &&
        fails in_words journalctl --no-pager -u "$unit" --grep 'p@ss|p%40ss' && fails pgrep -f 'p@ss|p%40ss'
}

install_http() {
    python3 -m http.server --directory "$frames" --bind 127.0.0.1 8099 >/dev/null 2>&1 &
    set_source "http://127.0.0.1:8099/00-photo.jpg"
}

install_clip() { cp /payload/clip.mp4 /srv/ && sed -i 's|^#repeat = .*|repeat = true|' "$config" && set_source /srv/clip.mp4; }

set_source() {
    sed -i "s|^source = .*|source = \"$1\"|" "$config"
    install_sh --offline /payload/wheels && systemctl restart "$unit" && within 60 works &&
        grep -q -F "\"source\": \"$1\"" /run/edge-classify/latest.json
}

camera_dropin=${dropin%/*}/25-camera.conf

check 'install.sh --source rtsp:// brings the part that decodes, and a wrong password is named' install_rtsp
check 'the password that systemd hands over is right' password_is_handed_over
check 'exposure is at most 1.7' exposure
check 'the decoder is the same passing user, its calls filtered' decoder_is_confined
check 'a decoder that is killed comes back in the same service' decoder_comes_back
check 'the password is in no log, no file of the service and no list of processes' password_is_nowhere
check 'snapshots by HTTP' install_http
check 'its network is let in by the drop-in of cameras' test -e "$camera_dropin"
check 'a video file' install_clip
check 'which needs no network: the drop-in is gone' not_there "$camera_dropin"
check 'uninstall.sh --purge leaves nothing' purge_leaves_nothing
