"""In the camera's machine: classify three frames, and say what was seen of them, a JSON line each.

camera_frames.py MODEL PICTURE [--rotate N] [--flip WAY] [--give-up S] [--hold S]

The first frame is saved as PICTURE. --hold keeps the camera for so long afterwards. An error is one
line on stderr and exit status 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from edge.classifier.classify import classify
from edge.classifier.model import Model
from edge.errors import EdgeError
from edge.sources.camera import Camera, CameraSettings
from edge.sources.frame import Frame

NUM_FRAMES = 3
NUM_BARS = 8


def bars(pixels: np.ndarray) -> list[str]:
    """Which of R, G, B shine in each of eight upright bars: white is "RGB", black is "".

    Of a bar only the middle half counts: its edges are mixed when the picture is enlarged.
    """
    height, width = pixels.shape[:2]
    seen = []
    for number in range(NUM_BARS):
        left = width * (4 * number + 1) // (4 * NUM_BARS)
        right = width * (4 * number + 3) // (4 * NUM_BARS)
        part = pixels[height // 4 : height * 3 // 4, left:right].reshape(-1, 3)
        seen.append(
            "".join(c for c, mean in zip("RGB", part.mean(axis=0), strict=True) if mean > 90)
        )
    return seen


def main() -> int:
    """Do it; 0 where all frames came."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rotate", type=int, default=0)
    parser.add_argument("--flip", default="none")
    parser.add_argument("--give-up", type=float, default=600.0)
    parser.add_argument("--hold", type=float, default=0.0)
    args = parser.parse_args()
    settings = CameraSettings(
        rotate=args.rotate, flip=args.flip, deadline_s=120.0, give_up_s=args.give_up
    )
    try:
        with Model(args.model) as model, closing(Camera(settings)) as camera:
            frames = (frame for frame in camera if isinstance(frame, Frame))
            for number, frame in enumerate(itertools.islice(frames, NUM_FRAMES)):
                age_ms = (time.monotonic_ns() - frame.captured_ns) / 1e6
                upright = np.rot90(frame.picture) if args.rotate == 90 else frame.picture
                told = {"shape": frame.picture.shape, "bars": bars(upright), "age_ms": age_ms}
                print(json.dumps(classify(model, frame).as_dict() | told), flush=True)
                if not number and args.picture.suffix:
                    Image.fromarray(frame.picture).save(args.picture)
            time.sleep(args.hold)
    except EdgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
