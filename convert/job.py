"""What a whole run is, and how it speaks."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from convert.training.train import TrainConfig


@dataclass(frozen=True)
class Run:
    """What a whole run is: a folder of photos, and what to make of it."""

    photos: Path
    out: Path
    name: str
    command: str  # how to say it again; no path in it
    config: TrainConfig
    weighed: tuple[tuple[Path, float], ...] = ()  # lists of training photos that count more
    resume: bool = False
    variants: tuple[str, ...] = ("float32", "int8")
    calibration_photos: int = 200
    threshold_precision: float = 0.98
    max_drop: float | None = None  # points
    verify_arm: bool = False

    @property
    def training(self) -> Path:
        """The folder of the training's checkpoint."""
        return self.out / "training"

    @property
    def cache(self) -> Path:
        """The folder of decoded photos."""
        return self.out / "cache"


def say(message: str) -> None:
    """Say one line on stderr."""
    print(f"convert: {message}", file=sys.stderr, flush=True)
