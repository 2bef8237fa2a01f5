"""How well copies of photos are found: recall by kind of edit, false joins, and the cost.

    python benchmarks/near_duplicates.py PHOTOS ... [--photos 2000] [--edited 100] [--sheet PNG]

PHOTOS are folders of photos. Of some of them, edited copies are made in memory and grouped together
with all the photos, by the code that splits them for a training. Recall: the share of copies that
share a group with their original. False joins: photos that share a group with another photo of the
same set; some are true duplicates, so look at them (--sheet FILE.png).
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from convert.data.grouping.near_duplicates import DECODED, Seen, group, see
from convert.data.parallel import each
from convert.report.sheet import sheet
from edge.image.preprocess import encode_jpeg, read_image
from edge.sources.photos import files

Edit = Callable[[Image.Image], Image.Image]
BICUBIC, TURN = Image.Resampling.BICUBIC, Image.Transpose


def crop(share: float) -> Edit:
    """Cut off a share of each side's length, from a corner that is drawn, and scale it back."""

    def edit(image: Image.Image) -> Image.Image:
        width, height = image.size
        draw = random.Random(width * height + image.getpixel((0, 0))[0])
        left, top = draw.uniform(0, share), draw.uniform(0, share)
        box = (left * width, top * height, (1 - share + left) * width, (1 - share + top) * height)
        return image.crop(tuple(map(int, box))).resize(image.size, BICUBIC)

    return edit


def affine(*matrix: float) -> Edit:
    """Transform with a, b, c, d, e, f; c and f are shares of width and height."""

    def edit(image: Image.Image) -> Image.Image:
        a, b, c, d, e, f = matrix
        data = (a, b, c * image.width, d, e, f * image.height)
        return image.transform(image.size, Image.Transform.AFFINE, data, BICUBIC)

    return edit


def turned(degrees: float) -> Edit:
    """Rotate in place; the corners are black."""
    return lambda image: image.rotate(degrees, BICUBIC)


def both(*edits: Edit) -> Edit:
    """Do one edit after another."""

    def edit(image: Image.Image) -> Image.Image:
        for one in edits:
            image = one(image)
        return image

    return edit


def transposed(how: Image.Transpose) -> Edit:
    """Turn or mirror without loss."""
    return lambda image: image.transpose(how)


MIRROR = transposed(TURN.FLIP_LEFT_RIGHT)
EDITS: dict[str, Edit] = {
    "rotated by 5": turned(5),
    "rotated by 15": turned(15),
    "rotated by 45": turned(45),
    "rotated by 90": transposed(TURN.ROTATE_90),
    "rotated by 180": transposed(TURN.ROTATE_180),
    "upside down": transposed(TURN.FLIP_TOP_BOTTOM),
    "mirrored": MIRROR,
    "transposed": transposed(TURN.TRANSPOSE),
    "cropped by 10 %": crop(0.1),
    "cropped by 20 %": crop(0.2),
    "cropped by 30 %": crop(0.3),
    "sheared": affine(1, 0.2, -0.1, 0, 1, 0),
    "shifted by 10 %": affine(1, 0, 0.1, 0, 1, 0.1),
    "shifted by 20 %": affine(1, 0, 0.2, 0, 1, -0.2),
    "brighter": lambda image: image.point(lambda value: min(255, int(value * 1.3))),
    "rotated and cropped": both(turned(15), crop(0.2)),
    "mirrored, rotated, brighter": both(
        MIRROR, turned(25), lambda image: image.point(lambda value: min(255, int(value * 1.3)))
    ),
    "sheared and cropped": both(affine(1, -0.15, 0.07, 0, 1, 0), crop(0.2)),
    "mirrored, rotated, cropped": both(MIRROR, turned(15), crop(0.3)),
}


def main() -> None:
    """Print recall by edit, photos joined with others, and seconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTOS")
    parser.add_argument("--photos", dest="count", type=int, default=2000, help="of all folders")
    parser.add_argument("--edited", type=int, default=100, help="photos that are edited")
    parser.add_argument("--edits", default="", help="only edits whose name has one of these, by |")
    parser.add_argument("--sheet", type=Path, help="write the joined photos to this PNG file")
    args = parser.parse_args()
    paths = [path for folder in args.photos for path in files(folder, recursive=True)]
    random.Random(0).shuffle(paths)
    paths = paths[: args.count]
    started = time.monotonic()
    seen = list(each(see, paths, "compare"))
    seen_s, decoded_s = time.monotonic() - started, _decoding_s(paths)
    names = [f"{index:06}" for index in range(len(paths))]
    started, busy = time.monotonic(), time.process_time()
    numbers = group(names, seen)
    grouped_s, busy_s = time.monotonic() - started, time.process_time() - busy
    print(
        f"{len(paths)} photos: decode and see {seen_s:.1f} s, of which decode {decoded_s:.1f} s; "
        f"group {grouped_s:.1f} s ({busy_s:.1f} s of processor time)"
    )
    _print_joined(paths, numbers, args.sheet)
    _print_recall(paths[: args.edited], seen, names, args.edits.split("|"))


def _decoding_s(paths: list[Path]) -> float:
    """Seconds to decode photos as they are decoded to be compared."""

    def decode(path: Path) -> int:
        return read_image(path, at_least=(DECODED, DECODED)).size

    started = time.monotonic()
    sum(each(decode, paths, "decode"))
    return time.monotonic() - started


def _print_joined(paths: list[Path], numbers: np.ndarray, target: Path | None) -> None:
    members: dict[int, list[int]] = {}
    for index, number in enumerate(numbers.tolist()):
        members.setdefault(number, []).append(index)
    joined = [of_group for of_group in members.values() if len(of_group) > 1]
    count = sum(map(len, joined))
    share = 100 * count / len(paths)
    print(f"joined with another: {count} photos ({share:.2f} %), {len(joined)} groups")
    if target and joined:
        tiles = [
            (
                read_image(paths[i], at_least=(160, 160)),
                f"{number}: {paths[i].parent.name}/{paths[i].name}",
            )
            for number, of_group in enumerate(joined)
            for i in of_group[:8]
        ]
        target.write_bytes(sheet(tiles[:300], columns=10, tile=160))


def _print_recall(
    originals: list[Path], seen: list[Seen], names: list[str], kinds: list[str]
) -> None:
    wanted = {
        name: edit
        for name, edit in EDITS.items()
        if originals and any(kind in name for kind in kinds)
    }
    for name, edit in wanted.items():
        edited = []
        for path in originals:
            image = edit(Image.fromarray(read_image(path)))
            edited.append(see(encode_jpeg(np.asarray(image), 90)))
        keys = [*names, *(f"x{index:06}" for index in range(len(edited)))]
        numbers = group(keys, [*seen, *edited])
        found = numbers[: len(originals)] == numbers[len(names) :]
        print(f"{name:30} {100 * float(found.mean()):5.1f} %", flush=True)


if __name__ == "__main__":
    main()
