"""What a webcam gives us, tried with the kernel's vivid driver; a line a check.

Run in an emulated machine, as root, after `modprobe vivid n_devs=1 node_types=0x1`.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from edge.doctor import camera as doctor
from edge.doctor.finding import Context
from edge.errors import EdgeError
from edge.sources.address import parse
from edge.sources.camera import Camera
from edge.sources.camera_format import CameraSettings
from edge.sources.frame import Frame, Waiting
from edge.sources.opening import open_camera, open_device
from edge.sources.v4l2.camera import devices

DRIVER = Path("/sys/bus/platform/drivers/vivid")
failed = 0


def check(name: str, held: bool, said: object = "") -> None:
    """Print whether it held, on one line: an array has several."""
    global failed
    failed += not held
    print(f"{'ok' if held else 'FAILED'} {name}: {' '.join(str(said).split())}", flush=True)


def frames(source: Camera, count: int) -> list[Frame]:
    """Take some frames; the source stays open."""
    return list(itertools.islice(_frames(iter(source)), count))


def _frames(items: Iterator[Frame | Waiting]) -> Iterator[Frame]:
    return (item for item in items if isinstance(item, Frame))


def fault(path: str) -> str:
    """Return why a device cannot be opened."""
    try:
        with closing(open_device(parse(path), CameraSettings())):
            return "none"
    except EdgeError as error:
        return str(error)


def is_bars(pixels: Any) -> bool:
    """Whether these are vivid's colour bars: white, yellow, cyan, green, magenta, red, blue."""
    row = pixels[pixels.shape[0] // 2].astype(int)
    places = [(2 * bar + 1) * row.shape[0] // 16 for bar in range(7)]
    wanted = "111 110 011 010 101 100 001".split()
    return all(
        "".join(str(int(value > 100)) for value in row[place]) == colour
        for place, colour in zip(places, wanted, strict=True)
    )


def main() -> int:
    """Make all checks."""
    found = list(devices())
    check("it is listed by name", len(found) == 1 and "vivid" in found[0].card, found)
    path = found[0].path
    doctor.NODES_TIMEOUT_S = 120.0  # an emulated processor is slow
    listed = doctor.capture_devices(Context())
    check("edge-doctor lists it by name", listed.found == f"{path}: {found[0].card}", listed)
    words = ["-m", "edge", "classify", "-m", "model.tflite", "--format", "json", path]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    check("edge-classify takes a frame of it", f'"source": "{path}"' in done.stdout, done.stderr)
    reported: list[str] = []
    with closing(open_camera(parse(path), CameraSettings(), reported.append)) as source:
        taken = frames(source, 5)
        check(
            "what was negotiated is reported",
            "YUYV 640 x 480, " in str(reported),
            reported,
        )
        check("frames have the size", {f.picture.shape for f in taken} == {(480, 640, 3)})
        check("frames have the colours", is_bars(taken[-1].picture), taken[-1].picture[240, ::80])
        ages = [(time.monotonic_ns() - f.captured_ns) / 1e6 for f in taken[-1:]]
        check("frames are fresh", 0 <= ages[0] < 1000, ages)
        time.sleep(1.0)
        (late,) = frames(source, 1)
        check("those let go are counted", late.dropped > 0, late.dropped)
        check("a busy device is one line", "busy" in fault(path), fault(path))
    turned = CameraSettings(rotate=90, roi=(0.0, 0.0, 0.5, 1.0))
    with closing(open_camera(parse(path), turned)) as source:
        check("it is turned and cropped", np.shape(frames(source, 1)[0].picture) == (640, 240, 3))
    large = CameraSettings(width=1280, height=720)
    with closing(open_camera(parse(path), large)) as source:
        check("another size", np.shape(frames(source, 1)[0].picture) == (720, 1280, 3))
    check("one that is not there", "no such device" in fault("/dev/video9"), fault("/dev/video9"))
    unplug(path)
    return 1 if failed else 0


def unplug(path: str) -> None:
    """Take the device away while it streams, and give it back."""
    with closing(open_camera(parse(path), CameraSettings(give_up_s=60.0))) as source:
        items = iter(source)
        next(_frames(items))
        (DRIVER / "unbind").write_text("vivid.0")
        reasons: list[str] = []
        for item in items:
            if isinstance(item, Waiting):
                reasons.append(item.reason)
                if len(reasons) == 4:
                    (DRIVER / "bind").write_text("vivid.0")
            elif reasons:
                break
        said = dict.fromkeys(reasons)
        check("it is unplugged, and comes back", any("unplugged" in r for r in said), list(said))


if __name__ == "__main__":
    sys.exit(main())
