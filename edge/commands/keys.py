"""What each key of the configuration means, in the words of --help and --print-config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edge.names import RUNTIMES
from edge.service.configuration import KEYS, TABLE_KEYS, TABLES, Configuration, Key

HELP = {
    "source": "camera, camera:ID, /dev/video0, rtsp://, http://, a video, a folder or a pattern",
    "model": "a .tflite classifier (default: the shipped one)",
    "labels": "label file, if the model has no labels",
    "normalize": "range of the pixels 0..255 for the model: '[-1,1]', MEAN,STD or imagenet",
    "output": "name or index of the output that holds the scores (default: detected)",
    "input_size": "SIDE or HEIGHTxWIDTH of an input whose size is dynamic (default: 224)",
    "resize": "squash, crop or pad (default: the model's own, else squash)",
    "filter": "antialias, bilinear or nearest (default: the model's own, else antialias)",
    "roi": "region to classify: x, y, width, height as shares of the upright image",
    "rotate": "rotate that region clockwise by 0, 90, 180 or 270 degrees",
    "threads": "threads of one invoke (auto: as measured here, else one per core, up to 4)",
    "runtime": f"auto (the fastest measured here, else the first), {' or '.join(RUNTIMES)}",
    "fps": "maximum frames per second to classify (0 = no limit; default: 2 for a camera)",
    "follow": "classify a folder's images once, then wait for new and changed ones",
    "repeat": "replay a folder endlessly, for demonstrations; overrides follow",
    "threshold": "confidence threshold below which a frame is unknown (default: the model's own)",
    "every": "print every Nth result as well as the state changes (0 = state changes only)",
    "latest": "file for the newest result (default: latest.json in systemd's runtime folder)",
    "give_up_s": "exit if the folder is missing for this many seconds, with follow or repeat",
    "max_temperature": "reduce the frame rate above this many degrees Celsius (0 = never)",
    "max_memory_mb": "exit above this many megabytes; systemd restarts the service (0 = never)",
    "camera.number": "camera index, as in rpicam-hello --list-cameras",
    "camera.width": "frame width in pixels",
    "camera.height": "frame height in pixels",
    "camera.deadline_s": "reopen the camera after this many seconds without a new frame",
    "camera.give_up_s": "exit after this many seconds without a frame; systemd restarts it",
    "camera.rotate": "rotate the image clockwise until it is upright: 0, 90, 180 or 270 degrees",
    "camera.flip": "none, horizontal, vertical or both, after rotating",
    "camera.roi": "region to classify: x, y, width, height as shares of the image",
    "camera.zoom": "let the sensor crop to this region of its view: x, y, width, height as shares",
    "camera.controls": "libcamera controls by name, as a table (an option takes JSON)",
    "camera.tuning_file": "libcamera tuning file for this sensor and lens (default: libcamera's)",
    "camera.frame_rate": "maximum frames per second of the sensor (0 = its own; default: 2 x fps)",
    "camera.password_file": "file with a network camera's password ($EDGE_CAMERA_PASSWORD)",
    "camera.transport": "tcp or udp, for RTSP",
    "schedule.hours": "hours in which frames are classified: 07:00-19:30, sunrise-30-sunset+30",
    "schedule.days": "days on which these hours begin: mon, tue, wed, thu, fri, sat, sun",
    "schedule.latitude": "degrees north, for sunrise and sunset",
    "schedule.longitude": "degrees east, for sunrise and sunset",
    "motion.on": "classify frames only while something moves",
    "motion.threshold": "grey levels of 255 by which a part of the image must change",
    "motion.area": "share of the image that must change",
    "motion.hold_s": "seconds to continue after the last motion",
    "motion.every_s": "classify a frame at least this often, in seconds (0 = only with motion)",
    "motion.fps": "frames per second to compare while nothing moves",
    "health.on": "check whether the camera is covered, dark, blurred, moved or frozen",
    "health.checks": "problems to report: frozen, dark, covered, blurred, moved",
    "health.hold_s": "seconds after which a problem, or its end, is reported",
    "health.accept_s": "seconds after which the new view of a moved camera counts as normal",
    "privacy.masks": "masked parts: 'x y width height' or a polygon, as shares of the full view",
    "privacy.classify_all": "let the model see the masked parts",
    "steady.smoothing": "weight of the newest frame's scores, up to 1 (1 = no smoothing)",
    "steady.enter": "smoothed score at which a label becomes the state (default: the threshold)",
    "steady.leave": "smoothed score below which the state ends (default: enter - 0.1)",
    "steady.frames": "consecutive frames needed to change the state",
    "steady.hold_s": "minimum seconds between two state changes",
    "snapshots.folder": "folder for snapshots (default: none; people may be in them)",
    "snapshots.on": "when to save one: change, label, low",
    "snapshots.labels": "labels to save snapshots of",
    "snapshots.below": "score below which `low` saves a snapshot",
    "snapshots.every_s": "minimum seconds between two snapshots, except on change",
    "snapshots.max_files": "maximum number of snapshots; the oldest is removed first",
    "snapshots.max_mb": "maximum megabytes of snapshots",
    "results.file": "file for all results as JSON lines (default: none)",
    "results.max_mb": "megabytes after which the file is rotated",
    "results.keep": "number of rotated files to keep",
    "history.on": "keep each state change and hourly shares by label, in SQLite",
    "history.file": "file of the history (default: history.sqlite, in the state folder)",
    "history.max_days": "days to keep; only a clock that the network has set removes older ones",
    "history.max_mb": "maximum megabytes of the file; the oldest rows are removed first",
    "web.listen": "[HOST:]PORT of the live page (HOST * = all addresses; default: 127.0.0.1)",
    "web.hosts": "additional host names to accept requests for, such as a proxy's",
    "web.url": "URL of the page, for links in events (default: made from host name and port)",
    "web.token_file": "file with the token for the controls (default: $EDGE_WEB_TOKEN, or none)",
    "web.view_token_file": "file with the password for viewing (default: $EDGE_WEB_VIEW_TOKEN)",
    "web.dataset": "folder for frames saved as a label (default: dataset, in the state folder)",
    "web.dataset_max_files": "maximum number of saved frames; none is ever removed",
    "web.dataset_max_mb": "maximum megabytes of saved frames",
    "web.stream_fps": "maximum frames per second to encode for viewers",
    "web.proxy_kbit_s": "maximum kilobits per second of a stream through a proxy (0 = no limit)",
    "mqtt.url": "broker: mqtt[s]://[user@]host[:port][/topic] (default: none)",
    "mqtt.password_file": "file with the password (default: $EDGE_MQTT_PASSWORD)",
    "mqtt.ca_file": "CA certificates used to verify the broker (default: the system's)",
    "mqtt.device": "device name in every topic (default: edge- and 8 digits of this machine)",
    "mqtt.discovery": "Home Assistant's discovery prefix (empty = no discovery)",
    "mqtt.queue": "maximum number of events that wait for the broker; the oldest is dropped first",
    "mqtt.state_every_s": "publish the state at least this often, in seconds",
    "mqtt.pictures": "publish the image of each state change (people may be in it)",
    "mqtt.pictures_max_px": "longer side of these images in pixels; each is at most 100 kB",
    "mqtt.commands": "commands to accept: pause, snapshot, classify, keep, threshold",
    "mqtt.unknown": "name of the unknown state in Home Assistant, which reserves the word unknown",
    "notify.on": "notify people of state changes (pip install 'edge-classify[notify]')",
    "notify.urls_file": "file with Apprise URLs, one per line (default: $EDGE_NOTIFY_URLS)",
    "notify.labels": "labels to notify of (empty = all)",
    "notify.every_min": "minimum minutes between two notifications of one label",
    "notify.quiet": "hours without notifications: 22:00-07:00",
    "notify.image": "send the frame as well (people may be in it)",
    "zone.name": "name of the zone in topics, file names and on the page: letters, digits, - and _",
    "zone.roi": "x, y, width, height as shares of the frame, or a polygon's corners, whose box it "
    "is (empty = all)",
    "zone.model": "a .tflite classifier (default: the top-level model)",
    "zone.labels": "labels that the zone may have (empty = all of the model's)",
    "zone.threshold": "confidence threshold (default: the top-level threshold)",
    "zone.fps": "maximum frames per second to classify (default: the top-level fps)",
    "zone.steady": "keys of [steady] to override for this zone",
    "action.to": "run when one of these states begins (empty = any)",
    "action.from": "run when one of these states ends (empty = any)",
    "action.zone": "run on changes of this zone (empty = any)",
    "action.every_s": "minimum seconds between two runs",
    "action.command": "program and arguments; the change is on its standard input as JSON",
    "action.deadline_s": "kill the program after this many seconds",
    "action.image": "pass the frame to the program as a JPEG file (people may be in it)",
    "action.gpio": "pin to switch on, such as GPIO17",
    "action.gpio_s": "seconds before the pin is switched off",
    "action.active_low": "the pin is low while it is on",
}


def printed(configuration: Configuration) -> str:
    """Write a configuration as TOML, what each key means beside it; what is unset as a comment."""
    lines = []
    for key in KEYS.values():
        of = getattr(configuration, key.section) if key.section else configuration
        if key.section and f"[{key.section}]" not in lines:
            lines += ["", f"[{key.section}]"]
        lines += _lines(key, getattr(of, key.field))
    for name, kind in TABLES.items():
        keys = [key for key in TABLE_KEYS.values() if key.section == name]
        for table in getattr(configuration, name):
            lines += ["", f"[[{name}]]"]
            lines += [line for key in keys for line in _lines(key, getattr(table, key.field))]
        if not getattr(configuration, name):
            lines += ["", f"# {(kind.__doc__ or '').splitlines()[0]}", f"#[[{name}]]"]
            lines += [f"#{line}" for key in keys for line in _lines(key, key.default)]
    return "\n".join(lines) + "\n"


def _lines(key: Key, value: Any) -> list[str]:
    if key.kind.startswith("Mapping"):
        return [f"# {key.name}: {HELP[key.dotted]}", f"{key.name} = {toml(value)}"]
    if value is None:
        return [f"# {key.name} =  # {HELP[key.dotted]}"]
    return [f"{key.name} = {toml(value)}  # {HELP[key.dotted]}"]


def toml(value: Any) -> str:
    """Write a value as TOML."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):  # as JSON, but that TOML wants U+007F escaped as well
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
