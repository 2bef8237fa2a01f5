"""A camera at a rate: the configuration's settings reach it, and the limit is named.

A package in picamera2's place supplies frames at the rate to which its sensor was set.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ROOT, run

MODEL = ROOT / "models" / "hotdog-scratch.tflite"
PICAMERA2 = """
import itertools, json, os, threading, time, types

import numpy as np

class Picamera2:
    camera_controls = {"FrameDurationLimits": (100, 1_000_000, None)}

    def __init__(self, number, tuning=None):
        self.number, self.frames, self.due = number, itertools.count(), time.monotonic()

    @staticmethod
    def global_camera_info():
        return [{}, {}]

    def create_preview_configuration(self, **wanted):
        return wanted

    def configure(self, wanted):
        self.made = wanted
        asked = {name: wanted[name] for name in ("main", "controls")} | {"number": self.number}
        asked["hflip"] = wanted["transform"].hflip
        with open(os.environ["ASKED"], "w") as file:
            json.dump(asked, file)

    def camera_configuration(self):
        width, height = self.made["main"]["size"]
        return self.made | {"main": self.made["main"] | {"stride": width * 4}}

    def start(self):
        pass

    close = start

    def capture_request(self, *, wait, signal_function):
        shortest, _ = self.made["controls"].get("FrameDurationLimits", (33_333, 0))
        self.due = max(self.due + shortest / 1e6, time.monotonic())
        threading.Timer(self.due - time.monotonic(), signal_function, (None,)).start()
        return types.SimpleNamespace(get_result=self.request)

    def request(self):
        stamp = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return types.SimpleNamespace(
            get_metadata=lambda: {"SensorTimestamp": stamp}, release=lambda: None
        )

class MappedArray:
    def __init__(self, request, name, *, reshape, write):
        self.array = np.zeros(320 * 240 * 4, np.uint8)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
"""
LIBCAMERA = "from types import SimpleNamespace as Transform\n"
SETTINGS = '[camera]\nwidth = 320\nheight = 240\nnumber = 1\nflip = "horizontal"\n'


@pytest.mark.parametrize(
    ("fps", "settings", "duration_us", "limit"),
    [
        (10, "frame_rate = 5", 200_000, "the source is the limit: it supplied "),
        (500, "", 1_000, "the model is the limit"),
        (4, "", 125_000, "holds 4 fps"),
    ],
)
def test_a_camera_has_the_configurations_settings_and_the_limit_is_named(
    fps: int, settings: str, duration_us: int, limit: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, text in (("picamera2", PICAMERA2), ("libcamera", LIBCAMERA)):
        (tmp_path / f"{name}.py").write_text(text)
    configuration, asked = tmp_path / "watch.toml", tmp_path / "asked.json"
    configuration.write_text(f'model = "{MODEL}"\n{SETTINGS}{settings}\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ASKED", str(asked))
    options = ("--config", configuration, "--source", "camera", "--rate", fps, "--soak", 2)
    done = run("-m", "edge", "benchmark", *options, "--warmup-runs", 1, timeout=120)
    assert done.returncode == 0, done.stderr
    verdict = done.stdout.splitlines()[-1]
    assert verdict.startswith(MODEL.name)
    assert limit in verdict or "other processes used" in verdict
    wanted = json.loads(asked.read_text())
    assert wanted["main"]["size"] == [320, 240]
    assert wanted["number"] == 1 and wanted["hflip"]
    assert wanted["controls"]["FrameDurationLimits"][0] == duration_us
