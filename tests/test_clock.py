"""A board without a clock of its own: a real edge-watch whose system clock is wrong, and jumps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from live import HOTDOG, until

from edge.image.preprocess import encode_jpeg

MODEL = ROOT / "models" / "hotdog-scratch.tflite"
COMPILER = shutil.which("cc") or shutil.which("gcc")
YEAR_S = 365 * 86400
# In a mount namespace of its own, where systemd-timesyncd runs and has not set the clock yet.
UNSET = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/timesync && exec "
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{UNSET} "$@"', "sh")
pytestmark = pytest.mark.skipif(not COMPILER, reason="no C compiler: sudo apt install gcc")


def has_namespaces() -> bool:
    done = subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "clock.so"
    source = Path(__file__).parent / "programs" / "clock.c"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


class Service:
    """A running edge-watch that sees another state in each frame, and its clock."""

    def __init__(self, folder: Path, shim: Path, words: tuple[str, ...]) -> None:
        self.folder, self.clock, self.out = folder, folder / "offset", folder / "stdout"
        photos = folder / "photos"
        photos.mkdir()
        (photos / "0.jpg").write_bytes(HOTDOG.read_bytes())
        grass = np.full((48, 64, 3), (70, 120, 50), np.uint8)
        (photos / "1.jpg").write_bytes(encode_jpeg(grass))
        self.off_by(-50 * YEAR_S)
        command = [*words, sys.executable, "-m", "edge", "watch", "--source", photos, "--repeat"]
        command += ["-m", MODEL, "--every", "0", "--fps", "20", "-t", "0"]
        command += ["--steady-frames", "1", "--steady-smoothing", "1", "--steady-hold-s", "0"]
        command += ["--snapshots-folder", folder / "kept", "--snapshots-max-files", "6"]
        environment = os.environ | {"LD_PRELOAD": str(shim), "CLOCK_OFFSET": str(self.clock)}
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                list(map(str, command)), cwd=ROOT, stdout=out, env=environment
            )

    def off_by(self, seconds: int) -> None:
        """Set the clock, which the service reads on from there."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.clock)

    def events(self) -> list[dict[str, Any]]:
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def more(self, events: int) -> list[dict[str, Any]]:
        """Wait for so many events more, and return these."""
        before = len(self.events())
        return until(lambda: (e := self.events()[before:])[events - 1 :] and e)


@contextmanager
def service(folder: Path, shim: Path, *words: str) -> Iterator[Service]:
    running = Service(folder, shim, words)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def test_snapshots_survive_by_their_order_whatever_the_clock_says(
    tmp_path: Path, shim: Path
) -> None:
    with service(tmp_path, shim) as running:
        years = set()
        for offset in (-50 * YEAR_S, 0, 14 * YEAR_S, -1 * YEAR_S):
            running.off_by(offset)
            years |= {event["captured_at"][:4] for event in running.more(4)}
        assert len(years) >= 4, years  # the shim works, and the service has lived through all
        running.process.terminate()
        assert running.process.wait(30) == 0
        events = running.events()
    kept = sorted((tmp_path / "kept").glob("*.json"))
    frames = [json.loads(path.read_text())["frame"] for path in kept]
    told = [event["frame"] for event in events]
    # It may end between an event and its picture, for which room was made already.
    assert frames in (told[-6:], told[-7:-1], told[-6:-1])
    assert all(0 <= event["age_ms"] < 60_000 for event in events)
    assert all(0 <= event["event"]["lasted_s"] < 60 for event in events)


@pytest.mark.skipif(not has_namespaces(), reason="no user namespaces here")
def test_events_before_time_synchronization_say_so(tmp_path: Path, shim: Path) -> None:
    with service(tmp_path, shim, *NAMESPACE) as running:
        early = running.more(3)
        assert {event["clock_is_set"] for event in early} == {False}
        assert early[0]["captured_at"] < "1990"
        running.off_by(0)  # as timesyncd does, which then makes this file
        folder = Path(f"/proc/{running.process.pid}/root/run/systemd/timesync")
        (folder / "synchronized").touch()
        late = running.more(4)[2:]
        assert not any("clock_is_set" in event for event in late)
        assert late[-1]["captured_at"] > "2020"
