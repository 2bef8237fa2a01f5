"""What the service costs besides the network: time, processor, memory, and how soon it is ready.

- Time outside invoke: frames as a camera gives them, at the model's size and 640 x 480, through the
  real loop to all default sinks and a socket that listens as systemd does, part by part.
- Processor: of edge-watch at --fps 1 with the small model on a folder of 640 x 480 JPEGs, once it
  is ready, as a share of one core.
- Memory: of edge-watch with the default model on that folder, as fast as it goes, in the end.
- Start: of edge-watch until it says READY, less what the interpreter takes to start and to load
  numpy, Pillow and the TFLite runtime, which no line of ours can shorten.

All are medians. Beside the time that passes is the processor's: other programs do not count in it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edge import board
from edge.benchmark import drawn_picture
from edge.classifier import golden
from edge.classifier.model import Model, models_folder
from edge.classifier.runtime import installed_runtimes
from edge.classifier.trial import Trying
from edge.commands import run
from edge.commands.arguments import count
from edge.errors import EdgeError
from edge.image.preprocess import InputSpec, Picture, Size
from edge.names import RUNTIMES
from edge.service.control import Control
from edge.service.delivery import Delivery
from edge.service.models import ModelRequirements, ModelStore
from edge.service.process import systemd as notify
from edge.service.process.guard import MemoryGuard
from edge.service.process.pace import Pace, PaceSettings
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.jsonlines import JsonLines
from edge.service.sinks.latest import Latest
from edge.service.sinks.snapshots import Snapshots, SnapshotSettings
from edge.service.watch import Unreadable, watch
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.zone import Zone
from edge.sources.frame import Frame

NAME = "watch"
SMALL = "hotdog-small.tflite"
SMALL_SIZE, CAMERA_SIZE = (224, 224), (480, 640)
WARMUP = 10  # frames that do not count
READY_WITHIN_S = 60.0
INVOKE = "invoke"
WANTED_MS = ("0.5 ms, better 0.15", "1.5 ms")


@dataclass(frozen=True)
class Span:
    """How long something took, in seconds."""

    passed: float
    processor: float  # of this thread or process

    def __add__(self, other: Span) -> Span:
        return Span(self.passed + other.passed, self.processor + other.processor)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print tables; the entry of `python benchmarks/watch.py`."""
    args = _parser().parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmarks/watch.py", *words])
    return run(lambda: _measure(args, command), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/watch.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, default, what in (
        ("--frames", 1000, "frames of each size that count"),
        ("--seconds", 30, "for which processor and memory are looked at"),
        ("--starts", 9, "starts that count"),
    ):
        text = f"{what} (default: {default})"
        parser.add_argument(flag, type=count, default=default, metavar="N", help=text)
    return parser


def _measure(args: argparse.Namespace, command: str) -> int:
    if not Path("/proc/self/status").exists():
        raise EdgeError("/proc", "is not there", "measure on Linux")
    # systemd's runtime directory is in memory, and so should ours be.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        for number in range(5):
            (photos / f"{number}.jpg").write_bytes(drawn_picture())
        small = models_folder() / SMALL
        sizes = (SMALL_SIZE, CAMERA_SIZE)
        timed = {size: frames_timed(small, size, args.frames, folder) for size in sizes}
        print(_parts(timed), flush=True)
        print("\n| what | measured | of it the processor | wanted |\n|---|---|---|---|")
        for (size, frames), wanted in zip(timed.items(), WANTED_MS, strict=True):
            outside = _ms(_median(list(map(_outside, frames))), " ms")
            print(f"| outside invoke, {_shown(size)} | {outside} | {wanted} |", flush=True)
        share = _processor_share(photos, folder, args.seconds)
        print(f"| processor at --fps 1, small model | | {share * 100:.2f} % of a core | 2 % |")
        rss, anonymous = _memory(photos, folder, args.seconds)
        held = f"{rss:.0f} MB, {anonymous:.0f} MB of it anonymous"
        print(f"| memory, default model | {held} | | 120 MB, better 80 |", flush=True)
        start, base = _start(photos, folder, args.starts)
    beyond = Span(start.passed - base.passed, start.processor - base.processor)
    ratios = f"{start.passed / base.passed:.2f} | {start.processor / base.processor:.2f}"
    print(f"| start to READY beyond the base | {_s(beyond)} | 1 s |")
    print(f"| the base: {shlex.join(['python', *_base()[1:]])} | {_s(base)} | |")
    print(f"| start to READY, of the base | {ratios} | |\n\n{_machine()}\n{command}")
    return 0


class Marks:
    """Time from one mark to the next, named by what ends there."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Span]] = []
        self._began = Span(0, 0)

    def begin(self) -> None:
        """Begin a frame."""
        self.frames.append(defaultdict(lambda: Span(0, 0)))
        self._began = Span(time.perf_counter(), time.thread_time())

    def end(self, what: str) -> None:
        """What was going on has ended; the next begins."""
        ended = Span(time.perf_counter(), time.thread_time())
        began, frame = self._began, self.frames[-1]
        frame[what] += Span(ended.passed - began.passed, ended.processor - began.processor)
        self._began = Span(time.perf_counter(), time.thread_time())  # our own time is left out


class Mark(Sink):
    """Marks the end of what came before it."""

    def __init__(self, marks: Marks, what: str) -> None:
        self._marks, self._what = marks, what

    def __call__(self, sighting: Sighting) -> None:
        """Mark."""
        self._marks.end(self._what)


class MarkedModel(Model):
    """A model that marks where preprocessing and invoking end."""

    def __init__(self, path: Path, marks: Marks) -> None:
        self.marks = marks
        marks.begin()  # the first invoke is in opening it
        super().__init__(path)

    def load_input(self, picture: Picture, input: InputSpec | None = None) -> None:
        """Preprocess, between two marks."""
        self.marks.end("rank and steady")  # what is done before a frame belongs to neither
        super().load_input(picture, input)
        self.marks.end("preprocess")

    def invoke(self) -> object:
        """Invoke, and mark."""
        scores = super().invoke()
        self.marks.end(INVOKE)
        return scores


class MarkedNotifier(notify.Notifier):
    """Tells systemd of every frame, as it is at two frames a second, and marks."""

    def __init__(self, environment: dict[str, str], marks: Marks) -> None:
        super().__init__(environment)
        self.marks = marks

    def alive(self, status: str) -> None:
        """Tell, and mark."""
        self._sent_s = 0.0
        super().alive(status)
        self.marks.end("status and notify")


def frames_timed(path: Path, size: Size, number: int, folder: Path) -> list[dict[str, Span]]:
    """Send frames of a size through the loop; return the parts of each."""
    marks = Marks()
    # As a camera's: its rows lie one after the other.
    drawn = [np.ascontiguousarray(golden.draw(seed, size)) for seed in range(4)]

    def frames() -> Iterator[Frame]:
        for index in range(WARMUP + number):
            frame = Frame("camera 0", drawn[index % 4], datetime.now(UTC), time.monotonic_ns())
            marks.begin()
            yield frame
            marks.end("pace and reload")

    with _listening(folder / "loop") as (_, environment), (folder / "stdout").open("w") as stream:
        sinks = {
            "stdout": JsonLines(stream),
            "latest.json": Latest(folder / "latest.json"),
            "snapshots": Snapshots(SnapshotSettings(str(folder / "snapshots"))),
        }
        marked = [Mark(marks, "rank and steady")]
        for what, sink in sinks.items():
            marked += [Delivery(sink, ignore), Mark(marks, what)]
        models = ModelStore(
            path, lambda path: MarkedModel(path, marks), _try, ModelRequirements(), ignore
        )
        with closing(models), closing(MarkedNotifier(environment, marks)) as notifier:
            pace = Pace(PaceSettings(max_temperature=80.0), board.temperature, ignore)
            zones, guard = [Zone(ZoneSettings(), models)], MemoryGuard(400)
            watch(
                frames(),
                zones,
                marked,
                notifier,
                pace,
                control=Control(),
                guard=guard,
                unreadable=Unreadable(ignore),
            )
    return marks.frames[-number:]


def ignore(line: str) -> None:
    """Let what the service says go."""


def _try(path: Path) -> Trying:
    return Trying(path, runtime="auto", num_threads=None)


def _outside(frame: dict[str, Span]) -> Span:
    """All of a frame but invoke."""
    return sum((span for part, span in frame.items() if part != INVOKE), Span(0, 0))


def _median(spans: Sequence[Span]) -> Span:
    return Span(
        statistics.median(span.passed for span in spans),
        statistics.median(span.processor for span in spans),
    )


def _parts(timed: dict[Size, list[dict[str, Span]]]) -> str:
    """A row for each part of a frame, as Markdown."""
    first = next(iter(timed.values()))
    heads = "".join(f" {_shown(size)}, ms | of it the processor, ms |" for size in timed)
    lines = [f"| part of a frame |{heads}", "|---|" + "---|---|" * len(timed)]
    for part in first[0]:
        spans = (_median([frame[part] for frame in frames]) for frames in timed.values())
        lines.append(f"| {part} | " + " | ".join(map(_ms, spans)) + " |")
    return "\n".join(lines)


def _processor_share(photos: Path, folder: Path, seconds: int) -> float:
    """The processor time of the service at one frame a second, of one core's."""
    small = str(models_folder() / SMALL)
    with _service(folder, "--source", str(photos), "--fps", "1", "-m", small) as (process, _):
        began, at = _processor(process.pid), time.monotonic()
        time.sleep(seconds)
        return (_processor(process.pid) - began) / (time.monotonic() - at)


def _memory(photos: Path, folder: Path, seconds: int) -> tuple[float, float]:
    """Resident and anonymous memory of the service after some seconds, in MB."""
    with _service(folder, "--source", str(photos)) as (process, _):
        time.sleep(seconds)
        status = Path(f"/proc/{process.pid}/status").read_text()
    sizes = dict(line.split(":", 1) for line in status.splitlines())
    rss, anonymous = (int(sizes[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "RssAnon"))
    return rss, anonymous


def _start(photos: Path, folder: Path, starts: int) -> tuple[Span, Span]:
    """How long a start takes until READY, and how long the base takes, in turns."""
    ready, base = [], []
    for _ in range(starts):
        before, at = os.times(), time.perf_counter()
        subprocess.run(_base(), check=True)
        passed, after = time.perf_counter() - at, os.times()
        base.append(Span(passed, sum(after[2:4]) - sum(before[2:4])))  # of children
        with _service(folder, "--source", str(photos), "--fps", "1") as (_, span):
            ready.append(span)
    return _median(ready), _median(base)


def _base() -> list[str]:
    """What starts the interpreter and loads the packages that every frame needs."""
    runtimes = installed_runtimes()
    if not runtimes:
        raise EdgeError("TFLite runtime", "is not installed", "pip install 'ai-edge-litert>=2.1'")
    code = f"import numpy, PIL.Image, {RUNTIMES[runtimes[0]]}.interpreter"
    return [sys.executable, "-c", code]


@contextmanager
def _service(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Span]]:
    """Start edge-watch as systemd does, and yield it once it is ready, with how long that took."""
    command = [sys.executable, "-m", "edge", "watch", "--repeat", *options]
    with (
        _listening(folder / "service") as (listener, environment),
        (folder / "out").open("w") as out,
    ):
        folders = {"RUNTIME_DIRECTORY": str(folder), "STATE_DIRECTORY": str(folder)}
        environment = os.environ | environment | folders
        at = time.perf_counter()
        with subprocess.Popen(command, stdout=out, env=environment) as process:
            try:
                while b"READY=1" not in listener.recv(4096):
                    pass
                yield process, Span(time.perf_counter() - at, _processor(process.pid))
            except TimeoutError as error:
                fault = f"is not ready within {READY_WITHIN_S:g} s"
                raise EdgeError("edge-watch", fault, "see what it says above") from error
            finally:
                process.terminate()


@contextmanager
def _listening(path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """Listen as systemd does; yield the socket, and how a service is told of it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(READY_WITHIN_S)
        try:
            yield listener, {"NOTIFY_SOCKET": str(path)}
        finally:
            path.unlink()


def _processor(pid: int) -> float:
    """Processor time of a process until now, in seconds."""
    # PID (NAME) STATE ...; a name may hold spaces and brackets. utime and stime are 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _shown(size: Size) -> str:
    return f"{size[1]} x {size[0]}"


def _ms(span: Span, unit: str = "") -> str:
    return f"{span.passed * 1000:.3f}{unit} | {span.processor * 1000:.3f}{unit}"


def _s(span: Span) -> str:
    return f"{span.passed:.2f} s | {span.processor:.2f} s"


def _machine() -> str:
    """What was measured on, and how busy it was: a load above the cores slows what passes."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in facts if line.startswith("model name")]
    name = board.model() or (names[0] if names else platform.machine())
    return f"{name}, {board.num_cores()} cores, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
