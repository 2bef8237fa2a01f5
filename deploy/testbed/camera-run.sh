#!/bin/sh
# What the camera's machine runs: everything that is tried, each in a process of its own, its answers beside this file.
# Each step ends within a time that is long even for an emulated processor on a busy machine.
cd /project || exit
export PYTHONPATH=/project/site:/opt/site PYTHONDONTWRITEBYTECODE=1
export LIBCAMERA_PIPELINES_MATCH_LIST=vimc

# step NAME COMMAND...: keeps what it says, and how it ended.
step() {
    name=$1
    shift
    echo "camera-run: $name"
    timeout -k 10 900 "$@" >"$name.out" 2>"$name.err"
    echo $? >"$name.status"
    sync
}

step frames python3 camera_frames.py model.tflite frame.png
cat >watch.toml <<'END'
source = "camera"
model = "model.tflite"
every = 1
[camera]
deadline_s = 120.0
give_up_s = 600.0
END
step watch sh -c 'python3 -m edge watch --config watch.toml | head -n 3'
step benchmark python3 -m edge benchmark model.tflite --threads 1 --source camera --seconds 60 --format json
step turned python3 camera_frames.py model.tflite turned.png --rotate 90 --flip vertical
python3 camera_frames.py model.tflite /dev/null --hold 900 >held &
until [ -s held ] || ! kill -0 $!; do sleep 1; done
step busy python3 camera_frames.py model.tflite /dev/null --give-up 60
kill $! || :
nobody='setpriv --reuid 65534 --regid 65534 --clear-groups'
# shellcheck disable=SC2086  # a list of words
step rights $nobody python3 camera_frames.py model.tflite /dev/null --give-up 60
chmod 666 /dev/media* /dev/video* /dev/v4l-subdev*
# shellcheck disable=SC2086
step heap $nobody python3 camera_frames.py model.tflite /dev/null --give-up 60
LIBCAMERA_PIPELINES_MATCH_LIST=none
modprobe vivid n_devs=1 node_types=0x1 # a webcam's driver without a webcam
step webcam python3 webcam_frames.py
step none python3 camera_frames.py model.tflite /dev/null --give-up 60
