"""Whether the service lasts: many frames through its real loop while all around it goes wrong.

    python tests/soak.py --frames 200000 --minutes 60 --seed 1 --csv soak.csv

By a seed the source stalls, gives bad images, jumps in time and fails for good (the service then
starts anew); sinks raise before and after their work, are slow and lose their folders; the model's
file is touched, replaced, damaged, removed and mended. That must hold:

- no leak: RssAnon stays within 5 MB after the warm-up, descriptors and threads stay as they were;
- no event is lost: every sink takes every change of state in order, at least once;
- every good model is loaded, and every bad one rejected;
- no dead loop: systemd is told at least every 60 seconds that it lives.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from sightings import Taker
from soak_faults import BAD, Faulty, Frames, ModelFile, Scene, Systemd, key

from edge import board
from edge.classifier.model import Model
from edge.classifier.trial import Trying
from edge.commands import complain, run
from edge.commands.arguments import count
from edge.errors import EdgeError, SourceError
from edge.service.control import Control
from edge.service.delivery import Delivery
from edge.service.models import ModelRequirements, ModelStore
from edge.service.process.guard import MemoryGuard
from edge.service.process.pace import Pace, PaceSettings
from edge.service.process.systemd import Notifier
from edge.service.sighting import Sighting
from edge.service.sinks.jsonlines import JsonLines
from edge.service.sinks.latest import Latest
from edge.service.sinks.results import Results, ResultsSettings
from edge.service.sinks.snapshots import Snapshots, SnapshotSettings
from edge.service.watch import Unreadable, watch
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.steady import SteadySettings
from edge.service.zones.zone import Zone

NAME = "soak"
FLAT_MB = 5.0
SINKS = ("stdout", "latest", "results", "snapshots")
STEADY = SteadySettings(frames=2, hold_s=0.0)
MOST_PICTURES, MOST_MB = 50, 2.0


@dataclass(frozen=True)
class Sample:
    """What the process holds at one moment."""

    frames: int
    minutes: float
    side: int  # of the model's input: another model takes other memory
    anonymous_mb: float
    rss_mb: float
    descriptors: int
    threads: int


@dataclass
class Soak:
    """A run of the service, and all that it is judged by."""

    folder: Path
    frames: int
    until_s: float  # by time.monotonic(); not to end before
    seed: int
    sample_every: int
    csv: Path | None = None
    counted: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    lost: int = 0  # events, by the sinks' own count
    unheard: int = 0  # changes from another state than the one before went to
    started_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        for name in SINKS[1:]:
            (self.folder / name).mkdir()
        self.random = random.Random(self.seed)
        self.file = ModelFile(self.folder / "model.tflite", self.seed + 1, self.counted)
        every = max(100, self.frames // 200)
        self.scene = Scene(Frames(self.seed + 2, self.counted), self.file, every, self.more)
        self.systemd = Systemd(self.folder)

    def more(self) -> bool:
        """Whether frames are to come."""
        return self.scene.number < self.frames or time.monotonic() < self.until_s

    def now(self) -> int:
        """The number of the frame that was given last."""
        return self.scene.number

    def report(self, line: str) -> None:
        """Take a line of the service's."""
        self.file.heard(line)
        self.counted["lines of the service"] += 1

    def live(self) -> None:
        """Be the service once, from its start until its source fails or all is done."""
        self.counted["starts"] += 1
        with ExitStack() as stack:
            notifier = stack.enter_context(closing(Notifier(self.systemd.environment)))
            clock = self.scene.clock
            requirements = ModelRequirements()
            store = ModelStore(
                self.file.path, _open, _try, requirements, self.report, monotonic=clock
            )
            models = stack.enter_context(closing(store))
            expected = stack.enter_context((self.folder / "expected.jsonl").open("a"))
            stream = stack.enter_context((self.folder / "stdout.jsonl").open("a"))
            faulty = self._sinks(stream)
            sinks = [Delivery(sink, self.report, clock) for sink in faulty]
            for sink in sinks:
                stack.callback(self._count, sink)  # after it is closed
                stack.enter_context(closing(sink))
            state = "unknown"

            def note(sighting: Sighting) -> None:
                nonlocal state
                self.counted["frames classified"] += 1
                if change := sighting.change:
                    expected.write(key(sighting.result.source, change.before, change.after) + "\n")
                    self.unheard += change.before != state
                    state = change.after
                self._look(models)

            frames = self.scene.play(self.random.randint(1, self.frames // 5), models, faulty)
            pace = Pace(PaceSettings(), board.temperature, self.report)
            watch(
                frames,
                [Zone(ZoneSettings(), models, steady=STEADY)],
                [Taker(note), *sinks],
                notifier,
                pace,
                control=Control(),
                guard=MemoryGuard(0),
                unreadable=Unreadable(self.report),
            )

    def _sinks(self, stream: object) -> list[Faulty]:
        """The service's sinks, each of which fails in its own way."""
        results = ResultsSettings(str(self.folder / "results" / "all.jsonl"), 1.0, keep=900)
        snapshots = SnapshotSettings(
            str(self.folder / "snapshots"), max_files=MOST_PICTURES, max_mb=MOST_MB
        )
        sinks = (
            JsonLines(stream, every=0),
            Latest(self.folder / "latest" / "latest.json"),
            Results(results),
            Snapshots(snapshots),
        )
        made = []
        for name, sink in zip(SINKS, sinks, strict=True):
            # A folder of images that comes back is one that the sink could not hold to its quota.
            folder = self.folder / name if name in ("latest", "results") else None
            taken, draw = self.folder / f"{name}.taken", random.Random(self.random.randrange(2**32))
            made.append(Faulty(sink, folder, taken, draw, self.counted, self.now))
        return made

    def _count(self, sink: Delivery) -> None:
        self.lost += sink.lost
        self.counted["failures of sinks"] += sink.failures

    def _look(self, models: ModelStore) -> None:
        """Look at the process now and then, but not while a model is tried or changes."""
        if self.scene.number % self.sample_every or not self.file.settled:
            return
        memory = board.process_memory()
        assert memory
        sample = Sample(
            self.scene.number,
            (time.monotonic() - self.started_s) / 60,
            models.model.input.size[0],
            memory.anonymous_bytes / 1e6,
            memory.rss_bytes / 1e6,
            _entries("/proc/self/fd"),
            _entries("/proc/self/task"),
        )
        self.samples.append(sample)
        if self.csv:
            with self.csv.open("a") as file:
                file.write(",".join(f"{value:g}" for value in vars(sample).values()) + "\n")
        if sys.stderr.isatty():
            told = f"{sample.frames} frames, {sample.minutes:.1f} min"
            print(f"{told}, RssAnon {sample.anonymous_mb:.1f} MB ", end="\r", file=sys.stderr)


def _open(path: Path) -> Model:
    return Model(path, num_threads=1)


def _try(path: Path) -> Trying:
    return Trying(path, runtime="auto", num_threads=1)


def _entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def faults(soak: Soak) -> Iterator[str]:
    """Yield each thing that does not hold."""
    yield from (f"wrong: {line}" for line in soak.file.wrong)
    yield from lost_events(soak)
    yield from _bad_files(soak.folder)
    kept = _warm(soak)
    blocks = _blocks(kept)
    if blocks and max(blocks) - min(blocks) > FLAT_MB:
        told = ", ".join(f"{block:.1f}" for block in blocks)
        yield f"RssAnon is not flat within {FLAT_MB:g} MB: {told}"
    for what in ("descriptors", "threads"):
        values = {getattr(sample, what) for sample in kept}
        if values and max(values) - min(values) > 1:  # a results file may be closed just then
            yield f"{what} are not flat: {sorted(values)}"
    if (left := soak.scene.number - soak.counted["frames classified"]) != soak.counted[BAD]:
        yield f"{left} frames are without a result, {soak.counted[BAD]} images were bad"
    if soak.unheard:
        yield f"{soak.unheard} changes of state went on from where none had gone"


def _warm(soak: Soak) -> list[Sample]:
    """The samples of the usual model after the first fifth."""
    return [s for s in soak.samples if s.frames > soak.scene.number / 5 and s.side == 224]


def _blocks(samples: Sequence[Sample]) -> list[float]:
    """Median RssAnon, in MB, of each fifth of the samples."""
    size = max(1, len(samples) // 5)
    parts = (samples[at : at + size] for at in range(0, size * 5, size))
    return [statistics.median(s.anonymous_mb for s in part) for part in parts if part]


def lost_events(soak: Soak) -> Iterator[str]:
    """Compare what each sink took, and what is in its files, with all changes of state."""
    if soak.lost:
        yield f"{soak.lost} events were let go"
    expected = list(_lines(soak.folder / "expected.jsonl"))
    soak.counted["events"] = len(expected)
    results = soak.folder / "results"
    pieces = sorted(results.glob("all.jsonl.*"), key=lambda path: -int(path.suffix[1:]))
    found = {f"{name} took": _lines(soak.folder / f"{name}.taken") for name in SINKS} | {
        "stdout holds": _events([soak.folder / "stdout.jsonl"]),
        "results hold": _events([*pieces, results / "all.jsonl"]),
    }
    for name, lines in found.items():
        taken = list(lines)
        once = [line for line, _ in itertools.groupby(taken)]
        soak.counted["events delivered twice"] += len(taken) - len(once)
        if once != expected:
            pairs = enumerate(zip(once, expected, strict=False))
            at = next((index for index, (one, other) in pairs if one != other), "the end")
            yield f"{name} {len(once)} of {len(expected)} events, another at {at}"


def _lines(path: Path) -> Iterator[str]:
    with path.open() as file:
        for line in file:
            yield line.rstrip("\n")


def _events(paths: Iterable[Path]) -> Iterator[str]:
    """The changes of state in files of JSON lines, each of which must be whole."""
    for path in paths:
        for line in _lines(path):
            record = json.loads(line)
            if "event" in record:
                yield key(record["source"], record["event"]["from"], record["event"]["to"])


def _bad_files(folder: Path) -> Iterator[str]:
    """Look for what is half written or too much."""
    json.loads((folder / "latest" / "latest.json").read_text())
    pictures = {path.stem for path in folder.glob("snapshots/*.jpg")}
    records = {path.stem for path in folder.glob("snapshots/*.json")}
    if pictures != records:
        yield f"snapshots: {len(pictures ^ records)} images or records are alone"
    if len(pictures) > MOST_PICTURES:
        yield f"snapshots: {len(pictures)} images, at most {MOST_PICTURES} are wanted"
    if partial := list(folder.glob("**/.*.partial")):
        yield f"{partial[0].name} was left behind"


def main(argv: Sequence[str] | None = None) -> int:
    """Run, judge, and print what was seen; the entry of `python tests/soak.py`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--frames", type=count, default=200_000, metavar="N", help="at least (default: 200000)"
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="M", help="at least (default: 60)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="memory over frames")
    args = parser.parse_args(argv)
    return run(lambda: _soak(args), NAME)


def _soak(args: argparse.Namespace) -> int:
    if not Path("/proc/self/fd").exists():
        raise EdgeError("/proc", "is not there", "try it on Linux")
    if args.csv:
        args.csv.write_text(",".join(Sample.__dataclass_fields__) + "\n")
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    until_s = time.monotonic() + 60 * args.minutes
    every = max(5, args.frames // 500)
    soak = Soak(folder, args.frames, until_s, args.seed, every, args.csv)
    soak.systemd.start()
    open_before = None
    while soak.more():
        try:
            soak.live()
        except SourceError:
            soak.counted["sources that failed for good"] += 1
        open_before = open_before or _entries("/proc/self/fd")
    found = list(faults(soak))
    if (still := _entries("/proc/self/fd")) != open_before:
        found.append(f"{still} descriptors are open, {open_before} were after the first life")
    print(_told(soak))
    for fault in found:
        complain(NAME, fault)
    if not found:
        shutil.rmtree(folder)
    return 1 if found else 0


def _told(soak: Soak) -> str:
    kept = _warm(soak)
    rows = {
        "frames": soak.scene.number,
        "minutes": f"{(time.monotonic() - soak.started_s) / 60:.1f}",
        "seed": soak.seed,
        **dict(sorted(soak.counted.items())),
        "RssAnon by fifths after the warm-up, MB": [round(b, 2) for b in _blocks(kept)],
        "descriptors": sorted({s.descriptors for s in kept}),
        "threads": sorted({s.threads for s in kept}),
        "longest time without a word to systemd, s": f"{soak.systemd.longest_s:.1f}",
    }
    return "\n".join(f"{name}: {value}" for name, value in rows.items())


if __name__ == "__main__":
    sys.exit(main())
