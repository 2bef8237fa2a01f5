"""Checks of the way to the camera: picamera2, device nodes, groups, cameras."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from edge import board
from edge.doctor.finding import (
    FAULT,
    NOT_HERE,
    OK,
    WARNING,
    Context,
    Finding,
    in_venv,
    try_code,
    version_of,
)
from edge.doctor.installation import (
    IMPORT_TIMEOUT_S,
    numpy_remedy,
    sees_system_packages,
    system_has_picamera2,
    venv_remedy,
)

CAMERAS_TIMEOUT_S = 30.0
NODES_TIMEOUT_S = 10.0
INSTALL = "sudo apt install --no-install-recommends python3-picamera2"
REINSTALL = "sudo apt install --reinstall python3-picamera2 python3-libcamera python3-kms++"
NODES = ("dev/video*", "dev/media*", "dev/dma_heap/*", "dev/vcio")
GROUPS = ("video", "render")
DMA_HEAP_RULE = (
    """echo 'SUBSYSTEM=="dma_heap", GROUP="video", MODE="0660"' """
    "| sudo tee /etc/udev/rules.d/60-edge-dma-heap.rules && sudo udevadm control --reload "
    "&& sudo udevadm trigger --subsystem-match=dma_heap"
)


def picamera2(context: Context) -> Finding:
    """Whether picamera2, and libcamera below it, load."""
    outcome = try_code("import libcamera, picamera2", IMPORT_TIMEOUT_S)
    if not outcome.reason:
        return Finding(OK, f"picamera2 {version_of('picamera2') or 'of unknown version'}")
    if not importlib.util.find_spec("picamera2"):
        return _without_picamera2(context)
    found = f"does not load ({outcome.reason})"
    remedy = numpy_remedy(context) if "numpy" in outcome.reason else REINSTALL
    return Finding(context.without_camera, found, remedy)


def _without_picamera2(context: Context) -> Finding:
    if system_has_picamera2(context) and in_venv() and not sees_system_packages():
        found = "is installed for the system's Python, which this virtual environment does not use"
        return Finding(context.without_camera, found, venv_remedy())
    if board.is_raspberry_pi(context.root):
        return Finding(FAULT, "is not installed", INSTALL)
    return Finding(NOT_HERE, "is not installed, and this is not a Raspberry Pi")


def cameras(context: Context) -> Finding:
    """Which cameras libcamera sees."""
    if not importlib.util.find_spec("picamera2"):
        return Finding(NOT_HERE, "picamera2 is not installed")
    code = (
        "import json; from picamera2 import Picamera2; "
        "print(json.dumps([c.get('Model', c['Id']) for c in Picamera2.global_camera_info()]))"
    )
    outcome = try_code(code, CAMERAS_TIMEOUT_S)
    if outcome.reason:
        remedy = "rpicam-hello --list-cameras; sudo dmesg | grep -iE 'imx|ov[0-9]|unicam|cfe'"
        return Finding(context.without_camera, f"the check failed ({outcome.reason})", remedy)
    models = json.loads(outcome.said)
    if not models and (found := _switched_off(context)):
        return found
    if not models:
        remedy = "power off, reseat the cable at both ends, then: rpicam-hello --list-cameras"
        return Finding(context.without_camera, "no camera detected", remedy)
    return Finding(OK, ", ".join(f"{number}: {model}" for number, model in enumerate(models)))


def capture_devices(context: Context) -> Finding:
    """List the V4L2 devices, such as USB webcams, that --source /dev/videoN can use."""
    if not any(context.root.glob("dev/video*")):
        return Finding(NOT_HERE, "no /dev/video*")
    dev = str(context.root / "dev")
    code = (
        "import json; from pathlib import Path; from edge.sources.v4l2.camera import devices; "
        f"print(json.dumps([(d.path, d.card) for d in devices(Path({dev!r}))]))"
    )
    outcome = try_code(code, NODES_TIMEOUT_S)
    if outcome.reason:
        remedy = "unplug them, and plug in one after the other"
        return Finding(WARNING, f"listing them failed ({outcome.reason})", remedy)
    found = json.loads(outcome.said)
    if not found:
        return Finding(NOT_HERE, "none of /dev/video* captures MJPEG or YUYV")
    return Finding(OK, ", ".join(f"{path}: {card}" for path, card in found))


CONFIGS = ("boot/firmware/config.txt", "boot/config.txt")  # bookworm's place, and the older one


def _switched_off(context: Context) -> Finding | None:
    """What in config.txt keeps libcamera from seeing a camera; None if nothing does."""
    for name in CONFIGS:
        try:
            text = (context.root / name).read_text(errors="replace")
        except OSError:
            continue
        lines = [line.partition("#")[0].replace(" ", "") for line in text.splitlines()]
        has_overlay = any(re.match(r"dtoverlay=(imx|ov|arducam|camera)", line) for line in lines)
        wrong = [line for line in lines if line == "start_x=1"]
        if not has_overlay:
            wrong += [line for line in lines if line == "camera_auto_detect=0"]
        if wrong:
            has = " and ".join(wrong)
            found = f"no camera detected: /{name} has {has}, which hides it from libcamera"
            edits = "; ".join(
                "s/^ *camera_auto_detect *= *0/camera_auto_detect=1/"
                if line.startswith("camera")
                else "/^ *start_x *= *1/d"
                for line in wrong
            )
            return Finding(
                context.without_camera, found, f"sudo sed -i '{edits}' /{name} && sudo reboot"
            )
    return None


def nodes(context: Context) -> Finding:
    """Whether this user may open what a camera is read through."""
    paths = [path for pattern in NODES for path in sorted(context.root.glob(pattern))]
    if not paths:
        if board.is_raspberry_pi(context.root):
            return Finding(FAULT, "no /dev/video* and no /dev/media*", "sudo apt full-upgrade")
        return Finding(NOT_HERE, "no /dev/video*, /dev/media*, /dev/dma_heap/* or /dev/vcio")
    names = [str(path) for path in paths]
    code = (
        "import json; from edge.sources.camera_faults import unopened; "
        f"print(json.dumps(unopened({names!r})))"
    )
    outcome = try_code(code, NODES_TIMEOUT_S)
    if outcome.reason:
        return Finding(context.without_camera, f"opening them {outcome.reason}", "sudo reboot")
    refused: dict[str, int] = json.loads(outcome.said)
    if not refused:
        return _nodes_for_the_service(context, names)
    first, number = next(iter(refused.items()))
    why = f"{first}: {os.strerror(number)}, {_rights(Path(first))}"
    found = f"{len(refused)} of {len(names)} cannot be opened ({why})"
    return Finding(context.without_camera, found, _node_remedy(context, first, number))


def _nodes_for_the_service(context: Context, names: list[str]) -> Finding:
    """Judge nodes that open: as root, that does not apply to the service, which is in GROUPS."""
    gids = _groups(context).values()
    closed = closed_to_groups(names, gids) if os.geteuid() == 0 else []
    if not closed:
        return Finding(OK, f"all {len(names)} can be opened")
    found = f"the service has no permission to open {closed[0]} ({_rights(Path(closed[0]))})"
    return Finding(context.without_camera, found, _node_remedy(context, closed[0], errno.EACCES))


def closed_to_groups(names: Iterable[str], gids: Collection[int]) -> list[str]:
    """Those of the device nodes that neither these groups nor everybody may read and write."""
    closed = []
    for name in names:
        status = Path(name).stat()
        by_group = status.st_gid in gids and status.st_mode & 0o060 == 0o060
        if not by_group and status.st_mode & 0o006 != 0o006:
            closed.append(name)
    return closed


def _rights(path: Path) -> str:
    try:
        return f"group {path.group()}, {stat.filemode(path.stat().st_mode)}"
    except (OSError, KeyError):
        return "unknown group"


def _node_remedy(context: Context, name: str, number: int) -> str:
    if number != errno.EACCES:
        return f"sudo fuser -v {name}; sudo dmesg | tail"
    known = _groups(context)
    if Path(name).stat().st_gid in known.values():
        return f"sudo usermod -aG {','.join(known)} $USER; then log in again"
    return DMA_HEAP_RULE if "dma_heap" in name else f"ls -l {name}; sudo udevadm trigger"


def groups(context: Context) -> Finding:
    """Whether this user is in the groups that may use a camera."""
    if not board.is_raspberry_pi(context.root):
        return Finding(NOT_HERE, "not a Raspberry Pi")
    known = _groups(context)
    if os.geteuid() == 0:
        return Finding(OK, "root needs none")
    mine = {os.getegid(), *os.getgroups()}
    missing = [name for name, gid in known.items() if gid not in mine]
    if not missing:
        return Finding(OK, ", ".join(known))
    found = f"not in {' and '.join(missing)}"
    return Finding(WARNING, found, f"sudo usermod -aG {','.join(missing)} $USER; then log in again")


def _groups(context: Context) -> dict[str, int]:
    """The groups of cameras that this system has, and their numbers."""
    try:
        lines = (context.root / "etc/group").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    rows = [line.split(":") for line in lines]
    return {row[0]: int(row[2]) for row in rows if len(row) > 2 and row[0] in GROUPS}
