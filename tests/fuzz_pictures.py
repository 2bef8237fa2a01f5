"""Damage images by a seed, and see that each ends in an answer or in one clear line.

    python tests/fuzz_pictures.py --count 5000 --seed 1

Image number N of a seed is the same in every run (with one Pillow): `--first N --count 1` tries
it alone, `--keep FOLDER` writes the offenders. They are decoded in a process of its own, which is
started again after an image that killed it, held it longer than 10 s, or took more than 1 GB.

Exit status: 0 where each ended well, 1 where some did not.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import queue
import resource
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO

import numpy as np
from pictures import (
    aperture,
    encoded,
    packed_png,
    png,
    png_chunk,
    quadrants,
    scene,
    tiff,
    turned,
    with_property,
)
from PIL import Image, features

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edge.errors import ImageError
from edge.image.framing import Framing
from edge.image.preprocess import InputSpec, preprocess, read_image

LONGEST_S = 10.0
MOST_BYTES = 1_000_000_000
ANSWER = "answer"
INPUT = InputSpec(0, (1, 224, 224, 3), np.dtype(np.uint8))
NEAREST = InputSpec(0, (1, 28, 28), np.dtype(np.uint8), framing=Framing("crop", "nearest"))

Random = np.random.RandomState


# Damage -------------------------------------------------------------------------------------------


def pictures() -> list[bytes]:
    """Sound files of every kind, small, so that damage finds their headers."""
    frame, small = scene(120, 160), quadrants(64, 96)
    image, rgba = Image.fromarray(frame), np.dstack([frame, frame[..., 0]])
    animation = {"save_all": True, "append_images": [Image.new("RGB", (160, 120), "blue")]}
    jpegs = [
        encoded(frame, "JPEG"),
        encoded(frame, "JPEG", progressive=True),
        encoded(frame[..., 0], "JPEG"),
        encoded(image.convert("CMYK"), "JPEG"),
        encoded(frame, "JPEG", icc_profile=b"no profile"),
        encoded(frame, "JPEG", restart_marker_rows=1),
        encoded(small, "MPO", save_all=True, append_images=[image]),
        *(turned(small, orientation, "JPEG") for orientation in (3, 6)),
    ]
    pngs = [
        encoded(frame, "PNG"),
        encoded(rgba, "PNG"),
        encoded(image.quantize(64), "PNG", transparency=bytes(range(64))),
        encoded(image.convert("1"), "PNG"),
        encoded(frame, "PNG", icc_profile=b"no profile"),
        encoded(image, "PNG", **animation),
        png(scene(60, 80), 2, interlaced=True),
        png(np.full((40, 50, 4), 0x8123, np.uint16), 6),
        turned(small, 6, "PNG"),
        packed_png(np.arange(64, dtype=np.uint8).reshape(8, 8) % 16, 4, key(5)),
        png(np.full((9, 7, 1), 0x1234, np.uint16), 0, chunks=key(0x1234)),
        png(np.full((9, 7, 3), 0x1234, np.uint16), 2, chunks=key(0x1234, 0x1234, 0x1234)),
        png(scene(60, 80), 2, chunks=png_chunk(b"tEXt", b"Comment\0" + b"text " * 250_000)),
        png(small, 2, chunks=png_chunk(b"gAMA", struct.pack(">I", 100_000))),
    ]
    webps = [
        encoded(frame, "WEBP"),
        encoded(rgba, "WEBP", lossless=True),
        encoded(image, "WEBP", **animation),
        turned(small, 6, "WEBP"),
    ]
    tiffs = [
        *(encoded(frame, "TIFF", compression=c) for c in (None, "tiff_lzw", "jpeg", "packbits")),
        encoded(image.convert("1"), "TIFF", compression="group4"),
        encoded(image.convert("CMYK"), "TIFF", compression="tiff_deflate"),
        encoded(image, "TIFF", **animation),
        turned(small, 6, "TIFF"),
        tiff((8, 8), 12, bytes(range(96))),
        tiff((8, 8), 16, bytes(range(128)), photometric=(0,)),
        tiff((8, 8), 16, bytes(range(192)) * 2, photometric=(2,), samples=(3,), planar=(2,)),
        tiff((8, 8), 8, bytes(range(64)), photometric=(3,), colours=tuple(range(256)) * 3),
        tiff((8, 8), 8, bytes(96), photometric=(6,), samples=(3,), subsampling=(2, 2)),
    ]
    others = [
        encoded(image, "GIF"),
        partial_gif(),
        encoded(image, "GIF", **animation),
        encoded(frame, "BMP"),
        encoded(image.quantize(16), "BMP"),
        encoded(np.dstack([frame, np.zeros_like(frame[..., 0])]), "BMP"),
        encoded(frame, "PPM"),
        encoded(frame[..., 0], "PPM"),
        b"P3\n4 2\n255\n" + b" ".join(b"%d" % value for value in range(24)),
    ]
    if "avif" in features.get_supported_modules():
        avif = encoded(frame, "AVIF")
        cut = with_property(avif, aperture(100, 1, 80, 1, 0, 1, 0, 1))
        others += [avif, cut, encoded(rgba, "AVIF"), turned(small, 6, "AVIF")]
    with contextlib.suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
        others += [encoded(frame, "HEIF"), encoded(rgba, "HEIF")]
    return [*jpegs, *pngs, *webps, *tiffs, *others]


def key(*values: int) -> bytes:
    """The chunk of a PNG that makes one grey or colour transparent."""
    return png_chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


def partial_gif() -> bytes:
    """A GIF whose only frame covers a part of its canvas."""
    content = bytearray(encoded(Image.new("P", (40, 30), 1), "GIF"))
    at = content.index(b",\0\0\0\0")
    content[6:10], content[at + 1 : at + 5] = struct.pack("<HH", 80, 60), struct.pack("<HH", 20, 9)
    return bytes(content)


def flip_bits(content: bytearray, random: Random, _: list[bytes]) -> bytearray:
    """Anywhere, from one to many."""
    for place in random.randint(0, len(content), 2 ** random.randint(0, 8)):
        content[place] ^= 1 << random.randint(8)
    return content


def flip_header_bits(content: bytearray, random: Random, _: list[bytes]) -> bytearray:
    """A few, near the beginning, where the sizes and tables are."""
    for place in random.randint(0, min(len(content), 400), 2 ** random.randint(0, 5)):
        content[place] ^= 1 << random.randint(8)
    return content


def truncate(content: bytearray, random: Random, _: list[bytes]) -> bytearray:
    """To any length, also nothing."""
    return content[: random.randint(len(content))]


def overwrite(content: bytearray, random: Random, _: list[bytes]) -> bytearray:
    """With zeros, ones, or noise."""
    start, length = random.randint(len(content)), 2 ** random.randint(1, 12)
    filling = [b"\0" * length, b"\xff" * length, random.bytes(length)][random.randint(3)]
    content[start : start + length] = filling[: len(content) - start]
    return content


def remove(content: bytearray, random: Random, _: list[bytes]) -> bytearray:
    """A piece out of the middle."""
    start = random.randint(len(content))
    del content[start : start + 2 ** random.randint(0, 10)]
    return content


def repeat(content: bytearray, random: Random, _: list[bytes]) -> bytearray:
    """A piece, often."""
    start = random.randint(len(content))
    piece = content[start : start + 2 ** random.randint(1, 10)]
    return content[:start] + piece * random.randint(2, 100) + content[start:]


def splice(content: bytearray, random: Random, others: list[bytes]) -> bytearray:
    """The beginning of one file and the end of another."""
    other = others[random.randint(len(others))]
    return content[: random.randint(len(content))] + other[random.randint(len(other)) :]


def swap_headers(content: bytearray, random: Random, others: list[bytes]) -> bytearray:
    """The first bytes of another format."""
    length = 2 ** random.randint(1, 7)
    return bytearray(others[random.randint(len(others))][:length]) + content[length:]


def mend_checksums(content: bytearray, random: Random, others: list[bytes]) -> bytearray:
    """A PNG's damaged chunks under right checksums: damage then gets as far as it can."""
    if not content.startswith(b"\x89PNG"):
        return flip_header_bits(content, random, others)
    mended, at = content[:8], 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        kind, data = bytes(content[at + 4 : at + 8]), content[at + 8 : at + 8 + length]
        if data and random.randint(2):
            flip_bits(data, random, others)
        mended += png_chunk(kind, bytes(data))
        at += 12 + length
    return mended


def claim_size(content: bytearray, random: Random, others: list[bytes]) -> bytearray:
    """A hostile width and height where the format has them."""
    sides = [0, 1, 2**31 - 1, 2**16 - 1, 2**32 - 1, 65500, 13_000, 8000, 30_000]
    width, height = (sides[random.randint(len(sides))] for _ in range(2))
    frame_start = next((at for m in (0xC0, 0xC2) if (at := content.find(bytes((255, m)))) > 0), 0)
    if content.startswith(b"\x89PNG"):
        header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes(content[24:29])
        content[8:33] = png_chunk(b"IHDR", header)
    elif content.startswith(b"\xff\xd8") and frame_start:
        short = (min(height, 65535).to_bytes(2, "big"), min(width, 65535).to_bytes(2, "big"))
        content[frame_start + 5 : frame_start + 9] = b"".join(short)
    elif content.startswith(b"GIF"):
        short = (min(width, 65535).to_bytes(2, "little"), min(height, 65535).to_bytes(2, "little"))
        content[6:10] = b"".join(short)
    elif content.startswith(b"BM"):
        content[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    elif content[:2] in (b"P3", b"P5", b"P6"):
        content[:10] = content[:2] + b"\n%d %d\n255\n" % (width, height)
    elif content.startswith(b"II"):
        for tag, side in ((256, width), (257, height)):
            at = content.find(tag.to_bytes(2, "little") + b"\x04\0\1\0\0\0")
            at = content.find(tag.to_bytes(2, "little") + b"\x03\0\1\0\0\0") if at < 0 else at
            if at >= 0:
                entry = tag.to_bytes(2, "little") + b"\x04\0\1\0\0\0" + side.to_bytes(4, "little")
                content[at : at + 12] = entry
    else:
        return overwrite(content, random, others)
    return content


DAMAGES: tuple[Callable[[bytearray, Random, list[bytes]], bytearray], ...] = (
    flip_bits,
    flip_header_bits,
    truncate,
    overwrite,
    remove,
    repeat,
    splice,
    swap_headers,
    mend_checksums,
    claim_size,
)


def damaged(number: int, seed: int, sound: list[bytes]) -> bytes:
    """Image `number` of a seed: one of the sound ones, damaged in one way or two."""
    random = Random([seed, number])
    content = bytearray(sound[random.randint(len(sound))])
    for _ in range(random.randint(1, 3)):
        damage = DAMAGES[random.randint(len(DAMAGES))]
        content = damage(content, random, sound) or bytearray(b"\0")
    return bytes(content)


# The process that decodes -------------------------------------------------------------------------


def outcome(content: bytes) -> str:
    """What becomes of an image: "answer", the fault that it is rejected with, or what is wrong."""
    try:
        tensor = preprocess(content, INPUT)
        assert tensor.shape == INPUT.shape
        assert preprocess(content, NEAREST).shape == NEAREST.shape
        assert read_image(content).ndim == 3
    except ImageError as error:
        line = str(error)
        if not line.isprintable() or len(line) > 500:
            return f"BAD LINE {line!r}"
        return "refused: " + error.fault.partition(" (")[0].rstrip("0123456789 ")
    except BaseException:
        return "TRACEBACK " + traceback.format_exc().replace("\n", " | ")
    return ANSWER


def work(seed: int, first: int, count: int) -> None:
    """Decode images; print a line of each: number, milliseconds, bytes, outcome."""
    sound = pictures()
    for number in range(first, first + count):
        content = damaged(number, seed, sound)
        started = time.monotonic()
        found = outcome(content)
        took_ms = round(1000 * (time.monotonic() - started))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KB
        print(number, took_ms, peak, found, flush=True)


# The process that watches -------------------------------------------------------------------------


def outcomes(seed: int, first: int, count: int) -> Iterator[tuple[int, str]]:
    """Yield the number and the outcome of each image; what is wrong begins in capitals."""
    end = first + count
    while first < end:
        words = [sys.executable, __file__, "--work", str(first), "--seed", str(seed)]
        words += ["--count", str(end - first)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                for number, found in _watched(process, first):
                    first = number + 1
                    yield number, found
                    if not found.startswith((ANSWER, "refused")):
                        break  # a process that went wrong once says nothing of the next image
            finally:
                process.kill()


def _watched(process: subprocess.Popen[bytes], first: int) -> Iterator[tuple[int, str]]:
    """What a working process says of its images, until it ends or goes wrong."""
    lines: queue.Queue[bytes] = queue.Queue()
    chatter: list[bytes] = []
    for stream, put in ((process.stdout, lines.put), (process.stderr, chatter.append)):
        threading.Thread(target=_pass_on, args=(stream, put)).start()
    number, limit_s = first, 60.0  # the first has the imports before it
    while True:
        try:
            line = lines.get(timeout=limit_s)
        except queue.Empty:
            yield number, f"HANG of more than {LONGEST_S:g} s"
            return
        if not line:
            break
        words = line.decode().rstrip("\n").split(" ", 3)
        number, limit_s = int(words[0]) + 1, 1.5 * LONGEST_S
        found = words[3]
        if int(words[1]) > 1000 * LONGEST_S:
            found = f"HANG of {words[1]} ms"
        elif int(words[2]) > MOST_BYTES:
            found = f"MEMORY of {int(words[2]) / 1e6:.0f} MB"
        yield number - 1, found
    if process.wait():
        said = b"".join(chatter[-3:]).decode(errors="replace")
        yield number, f"DIED by status {process.returncode}: {said}"
    elif len(chatter) > 1:
        print(f"{len(chatter)} lines of native chatter, such as {chatter[0]!r}", file=sys.stderr)


def _pass_on(stream: IO[bytes], put: Callable[[bytes], None]) -> None:
    """Every line, and an empty one at the end."""
    with contextlib.suppress(ValueError):  # closed
        for line in stream:
            put(line)
    put(b"")


def main(argv: Sequence[str] | None = None) -> int:
    """Damage, decode, and print counts by outcome."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000, metavar="N", help="pictures")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the offending images")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.work is not None:
        work(args.seed, args.work, args.count)
        return 0
    counts: collections.Counter[str] = collections.Counter()
    wrong = 0
    for number, found in outcomes(args.seed, args.first, args.count):
        counts[found if found.startswith((ANSWER, "refused")) else found.split(" ")[0]] += 1
        if not found.startswith((ANSWER, "refused")):
            wrong += 1
            print(f"--seed {args.seed} --first {number} --count 1: {found}", flush=True)
            if args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                content = damaged(number, args.seed, pictures())
                (args.keep / f"{args.seed}-{number}").write_bytes(content)
    for found, times in counts.most_common():
        print(f"{times:6} {found}")
    print(f"{sum(counts.values()):6} damaged images, {wrong} of which went wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
