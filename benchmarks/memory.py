"""How much anonymous memory a whole run of convert takes, for fewer and for more photos.

For each number of files it draws photos, makes files of them that a JPEG comment makes different,
runs `python -m convert` on them, and samples RssAnon of /proc/PID/status ten times a second: of
convert itself (which caches and trains) and of all its processes together (the ones that convert
to .tflite as well). Mapped files are not in it: the system takes their pages back when it wants.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from convert.data.drawn import draw_photos
from convert.errors import ConversionError, DatasetError
from edge.commands import run
from edge.commands.arguments import count
from edge.errors import EdgeError
from edge.sources.photos import files

NAME = "memory"
DRAWN_PER_CLASS = 100  # near-duplicates stay in one set: enough groups of them to be split
# The precision is given: measuring which is faster trains two more networks, and both runs must do
# the same.
OPTIONS = "--network small --precision float32 --epochs 2 --steps-per-epoch 50 --quantize float32"
INTERVAL_S = 0.1


@dataclass(frozen=True)
class Peak:
    """The largest sums of RssAnon that were sampled, in bytes."""

    convert: int  # of the process itself
    together: int  # with its children


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/memory.py`."""
    args = _parser().parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmarks/memory.py", *words])
    return run(lambda: _measure(args, command), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/memory.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "photos",
        type=Path,
        nargs="?",
        metavar="PHOTOS",
        help="a folder of classes of JPEGs to take instead of drawn ones",
    )
    parser.add_argument(
        "--files",
        type=lambda text: [count(part) for part in text.split(",")],
        default=[2000, 10000],
        metavar="N,N",
        help="how many files (default: 2000,10000)",
    )
    parser.add_argument(
        "--image-size", type=count, default=224, metavar="N", help="in pixels (default: 224)"
    )
    parser.add_argument(
        "--options", default=OPTIONS, help=f"of convert, in quotes (default: '{OPTIONS}')"
    )
    return parser


def _measure(args: argparse.Namespace, command: str) -> int:
    if not Path("/proc/self/status").exists():
        raise EdgeError("/proc", "is not there", "measure on Linux")
    print("| files | convert, MB | all processes, MB |\n|---|---|---|", flush=True)
    peaks = []
    for number in args.files:
        with tempfile.TemporaryDirectory() as folder:
            photos = Path(folder) / "photos"
            make_files(photos, _sources(args, Path(folder)), number)
            options = ["--image-size", str(args.image_size), *shlex.split(args.options)]
            words = [sys.executable, "-m", "convert", str(photos), "-o", f"{folder}/out", *options]
            peaks.append(peak(words, Path(folder) / "out" / "report.html"))
        megabytes = (bytes_ / 1e6 for bytes_ in (peaks[-1].convert, peaks[-1].together))
        print("| {} | {:.0f} | {:.0f} |".format(number, *megabytes), flush=True)
    ratios = (peaks[-1].convert / peaks[0].convert, peaks[-1].together / peaks[0].together)
    print("| last of first | {:.3f} | {:.3f} |".format(*ratios))
    print(f"\n{command}")
    return 0


def _sources(args: argparse.Namespace, folder: Path) -> dict[str, list[Path]]:
    """The JPEGs of each class that the files are made of."""
    root = args.photos
    if root is None:
        root = folder / "drawn"
        draw_photos(root, per_class=DRAWN_PER_CLASS, size=args.image_size)
    elif not root.is_dir():
        raise DatasetError(root, "no such folder", "give a folder of classes")
    root = root / "train" if (root / "train").is_dir() else root
    classes = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] != "."]
    found = {path.name: list(files(path, recursive=True)) for path in classes}
    jpegs = {label: [p for p in paths if _is_jpeg(p)] for label, paths in found.items()}
    if len(jpegs) < 2 or not all(jpegs.values()):
        raise DatasetError(root, "has no two classes of JPEGs", "give a folder of such")
    return jpegs


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\xff\xd8"


def make_files(folder: Path, sources: dict[str, list[Path]], number: int) -> None:
    """Write `number` JPEGs, classes in turn, no two of which have the same content."""
    for label in sources:
        (folder / label).mkdir(parents=True)
    turns = {label: itertools.cycle(paths) for label, paths in sources.items()}
    labels = itertools.cycle(sources)
    for index in tqdm(range(number), "make files", unit="file"):
        label = next(labels)
        content = next(turns[label]).read_bytes()
        (folder / label / f"{index:06}.jpg").write_bytes(with_comment(content, str(index)))


def with_comment(jpeg: bytes, comment: str) -> bytes:
    """Put a comment (segment COM, ISO/IEC 10918-1 B.2.4.5) behind a JPEG's first marker."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (2 + len(text)).to_bytes(2, "big") + text + jpeg[2:]


def peak(command: Sequence[str], result: Path | None = None) -> Peak:
    """Run a command, and sample its memory until it ends; what it prints goes to stderr.

    Args: the command; a file that shows that it did its work even if its exit status is not 0:
        convert ends with 1 where a model is not fit for use.
    Raises: ConversionError where it fails.
    """
    of_convert = together = 0
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        try:
            while process.poll() is None:
                sampled = {pid: rss_anon(pid) for pid in _tree(process.pid)}
                of_convert = max(of_convert, sampled[process.pid])
                together = max(together, sum(sampled.values()))
                time.sleep(INTERVAL_S)
        except BaseException:
            process.terminate()
            raise
    if process.returncode and not (result and result.exists()):
        fault = f"ended with status {process.returncode}"
        raise ConversionError(shlex.join(command[1:3]), fault, "see what it says above")
    return Peak(of_convert, together)


def rss_anon(pid: int) -> int:
    """A process's anonymous memory in bytes; 0 where it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def _tree(root: int) -> set[int]:
    """A process and all that it started, and they."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            # PID (NAME) STATE PARENT ...; a name may hold spaces and brackets
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    tree, grew = {root}, True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in tree} - tree
        tree, grew = tree | more, bool(more)
    return tree


if __name__ == "__main__":
    sys.exit(main())
