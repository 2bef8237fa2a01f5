"""Hold the sources of frames to their figures: overhead, age, speed, memory, recovery.

RTSP comes from Debian's GStreamer server on this machine. Each row prints what was measured and
what is wanted; the exit status is 1 if a row misses it. On a machine that is busy with other work,
times are printed and not judged.

    python benchmarks/sources.py --quick       5 reconnects, 5 kills, a minute of stream
    python benchmarks/sources.py               200 reconnects, 50 kills, an hour of stream
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from test_network_cameras import camera, free_port, rtsp_server  # noqa: E402
from videos import write_video  # noqa: E402

from edge.classifier.classify import classify  # noqa: E402
from edge.classifier.model import Model  # noqa: E402
from edge.sources.camera import Camera  # noqa: E402
from edge.sources.frame import Frame, Waiting  # noqa: E402
from edge.sources.video.clip import Clip, Sampling  # noqa: E402
from edge.sources.video.rtsp_camera import RtspCamera  # noqa: E402

MODEL = ROOT / "models" / "hotdog-small.tflite"
FPS = 25  # of the server
DEADLINE_S = 3.0
OUTAGE_S = 14.0  # longer than all pauses before the last kind
MB = 1e6


class Table:
    """The rows, printed as they come."""

    def __init__(self) -> None:
        self.missed = 0

    def row(
        self, what: str, measured: str, wanted: str, held: bool, *, timed: bool = False
    ) -> None:
        """Print a row; `timed`: it is of times, which other work on the machine spoils."""
        verdict = "ok" if held else "busy" if timed and _is_busy() else "MISSED"
        self.missed += verdict == "MISSED"
        print(f"{verdict:6} {what}: {measured} (wanted: {wanted})", flush=True)


def _is_busy() -> bool:
    return os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)


def overhead(table: Table, folder: Path, rounds: int) -> None:
    """Compare frames from the decoder's process with decoding in this one, in turns.

    In processor time of all processes, which other work on the machine disturbs least. Of a long
    and a short clip, so that the start of a process falls out.
    """
    long, short = (
        write_video(folder / f"{seconds}.mp4", size=(480, 640), seconds=seconds, fps=25)
        for seconds in (41, 1)
    )
    differences = []
    for _ in range(rounds):
        ours = _cpu_ms(lambda: _by_process(long)) - _cpu_ms(lambda: _by_process(short))
        theirs = _cpu_ms(lambda: _decoded(long)) - _cpu_ms(lambda: _decoded(short))
        differences.append((ours - theirs) / 1000)
    half = 1.96 * statistics.stdev(differences) / len(differences) ** 0.5
    mean = statistics.mean(differences)
    measured = f"{mean:.2f} ms, 95 % interval +-{half:.2f}, {rounds} rounds of 1,000 frames"
    table.row("overhead per frame, 640 x 480, processor time", measured, "0.5 ms", mean <= 0.5)


def _cpu_ms(work: Callable[[], object]) -> float:
    began = sum(os.times()[:4])
    work()
    return (sum(os.times()[:4]) - began) * 1000


def _by_process(path: Path) -> None:
    for _ in Clip(path, Sampling(fps=0.0)):
        pass


def _decoded(path: Path) -> None:
    """Decode in this process to RGB pixels of one's own."""
    scale = VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            scale.reformat(frame, format="rgb24", interpolation="AREA").to_ndarray()


def speed(table: Table, folder: Path, seconds: int) -> None:
    """Compare a 1080p clip sampled at a frame per second with real time, and with ffmpeg."""
    path = folder / "hd.mp4"
    _write_noisy(path, seconds)
    began = time.perf_counter()
    frames = sum(1 for _ in Clip(path, Sampling(fps=1.0), lambda _: (448, 448)))
    ours_s = time.perf_counter() - began
    theirs_s = None
    if shutil.which("ffmpeg"):
        words = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", "fps=1", "-f", "null", "-"]
        began = time.perf_counter()
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
        theirs_s = time.perf_counter() - began
    against = f", ffmpeg -vf fps=1 takes {theirs_s / ours_s:.2f} of ours" if theirs_s else ""
    measured = f"{seconds / ours_s:.1f} times real time, {frames} frames{against}"
    held = seconds / ours_s >= 20 or (theirs_s is not None and ours_s <= 1.2 * theirs_s)
    table.row(
        "1080p H.264, a frame a second",
        measured,
        "20 times, or ffmpeg within 20 %",
        held,
        timed=True,
    )


def _write_noisy(path: Path, seconds: int) -> None:
    """Write a clip with detail that moves, as a camera's has."""
    noise = np.random.default_rng(0).integers(0, 255, (270, 480, 3), np.uint8)
    container = av.open(str(path), "w")
    stream: Any = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
    stream.bit_rate, stream.options = 4_000_000, {"preset": "veryfast"}
    large = noise.repeat(4, 0).repeat(4, 1)
    for number in range(seconds * 25):
        frame = av.VideoFrame.from_ndarray(np.roll(large, 3 * number, 1), "rgb24")
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
    container.close()


def age(table: Table, seconds: float) -> None:
    """Measure a frame's age at its result, over a stream that is slower than the model."""
    ages, port = [], free_port()
    with (
        rtsp_server(port),
        Model(MODEL, num_threads=1) as model,
        closing(camera(f"rtsp://127.0.0.1:{port}/h264")) as source,
    ):
        until = None
        for frame in _frames(iter(source)):
            classify(model, frame)
            now = time.monotonic_ns()
            until = until or now + seconds * 1e9
            ages.append((now - frame.captured_ns) / 1e6)
            if now > until:
                break
    p50, p99 = np.percentile(ages[10:], (50, 99))
    measured = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(ages) - 10} frames"
    limit_ms = 1000 / FPS
    table.row(
        "age of an RTSP frame at its result",
        measured,
        f"p99 {limit_ms:g} ms",
        p99 <= limit_ms,
        timed=True,
    )


def recovery(table: Table, reconnects: int, kills: int, outages: int) -> None:
    """Stall or restart the server, and kill the decoder, again and again; leave it off for long."""
    port = free_port()
    with closing(camera(f"rtsp://127.0.0.1:{port}/h264", deadline_s=DEADLINE_S)) as source:
        items, slowest = iter(source), 0.0
        with rtsp_server(port):
            before = _after_frames(items, 20)
            for _ in range(kills):
                os.kill(_decoder(source), signal.SIGKILL)
                slowest = max(slowest, _seconds_to_frame(items))
            after = _after_frames(items, 20)
        _row_of_recovery(table, "kills of the decoder", kills, slowest, before, after)
        slowest = 0.0
        for number in range(reconnects):
            with rtsp_server(port) as server:
                took_s = _seconds_to_frame(items)
                if number:  # before the first, it was the server of the kills that ended
                    slowest = max(slowest, took_s)
                if number == max(2, reconnects // 5):  # the heap has settled
                    before = _after_frames(items, 20)
                if number % 10 == 5:
                    server.send_signal(signal.SIGSTOP)
                    _seconds_of_waiting(items, DEADLINE_S + 1)
        with rtsp_server(port):
            _seconds_to_frame(items)
            after = _after_frames(items, 20)
        _row_of_recovery(table, "restarts of the server", reconnects, slowest, before, after)
        slowest = 0.0
        for _ in range(outages):
            _seconds_of_waiting(items, OUTAGE_S)  # the pauses have grown by then
            with rtsp_server(port):
                slowest = max(slowest, _seconds_to_frame(items))
        limit_s = DEADLINE_S + 2
        table.row(
            f"frame after an outage of {OUTAGE_S:g} s, {outages} of them",
            f"{slowest:.1f} s at most",
            f"{limit_s:g} s",
            slowest <= limit_s,
            timed=True,
        )


def _row_of_recovery(
    table: Table, what: str, times: int, slowest: float, before: Any, after: Any
) -> None:
    grown = {name: after[name] - before[name] for name in before}
    limit_s = DEADLINE_S + 2
    measured = (
        f"{times}, {grown['mb']:+.1f} MB, {grown['descriptors']:+d} descriptors, "
        f"{grown['children']:+d} processes"
    )
    held = grown["mb"] < 5 and grown["descriptors"] <= 0 and grown["children"] <= 0
    table.row(what, measured, "no leak", held)
    slow = f"{slowest:.1f} s"
    table.row("  the slowest of them", slow, f"{limit_s:g} s", slowest <= limit_s, timed=True)


def _decoder(source: Camera) -> int:
    device = source._device.result()  # type: ignore[union-attr]
    assert isinstance(device, RtspCamera)
    return device.pid


def _frames(items: Iterator[Frame | Waiting]) -> Iterator[Frame]:
    return (item for item in items if isinstance(item, Frame))


def _after_frames(items: Iterator[Frame | Waiting], count: int) -> dict[str, float]:
    """What this process holds after some frames."""
    for _, _frame in zip(range(count), _frames(items), strict=False):
        pass
    status = Path("/proc/self/status").read_text()
    (rss,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    children = sum(
        len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children")
    )
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return {"mb": int(rss) * 1024 / MB, "descriptors": descriptors, "children": children}


def _seconds_to_frame(items: Iterator[Frame | Waiting]) -> float:
    """How long until a frame follows a Waiting."""
    began, was_waiting = time.monotonic(), False
    for item in items:
        was_waiting = was_waiting or isinstance(item, Waiting)
        if was_waiting and isinstance(item, Frame):
            return time.monotonic() - began
    raise AssertionError("the source ended")


def _seconds_of_waiting(items: Iterator[Frame | Waiting], seconds: float) -> None:
    until = time.monotonic() + seconds
    for _ in items:
        if time.monotonic() > until:
            return


def memory(table: Table, seconds: float) -> None:
    """Run edge-watch on a stream, and add up its processes' memory now and then."""
    port = free_port()
    with rtsp_server(port), _watching(f"rtsp://127.0.0.1:{port}/h264") as watch:
        readings, anonymous = [], []
        for _ in range(12):
            time.sleep(seconds / 12)
            assert watch.poll() is None, "edge-watch ended"
            readings.append(_memory_mb(watch.pid, "Pss:"))
            anonymous.append(_memory_mb(watch.pid, "Pss_Anon:"))
    settled = anonymous[2:]  # what files are shared with changes as other processes come and go
    grown = statistics.mean(settled[-3:]) - statistics.mean(settled[:3])
    measured = f"{max(readings):.0f} MB, {grown:+.1f} MB over {seconds / 60:.0f} min"
    table.row(
        "memory of edge-watch with RTSP",
        measured,
        "180 MB, flat",
        max(readings) < 180 and grown < 3,
    )


@contextmanager
def _watching(source: str) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "edge", "watch", "--model", str(MODEL), "--source", source]
    process = subprocess.Popen(
        [*words, "--every", "0", "--fps", "5"], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _memory_mb(pid: int, key: str) -> float:
    """The memory of a process and its children; what they share counts once."""
    total = _pss(pid, key)
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        total += sum(_pss(int(child), key) for child in children.read_text().split())
    return total


def _pss(pid: int, key: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (pss,) = (line.split()[1] for line in lines if line.startswith(key))
    return int(pss) * 1024 / MB


def main() -> int:
    """Measure the rows that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="rows, with commas between")
    parser.add_argument("--reconnects", type=int, default=200, help="(default: 200)")
    parser.add_argument("--kills", type=int, default=50, help="(default: 50)")
    parser.add_argument("--outages", type=int, default=20, help="(default: 20)")
    parser.add_argument("--minutes", type=float, default=60.0, help="of memory (default: 60)")
    args = parser.parse_args()
    quick = args.quick
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        rows = {
            "overhead": lambda: overhead(table, Path(name), 3 if quick else 20),
            "speed": lambda: speed(table, Path(name), 20 if quick else 60),
            "age": lambda: age(table, 20.0 if quick else 120.0),
            "recovery": lambda: recovery(
                table, *((5, 5, 2) if quick else (args.reconnects, args.kills, args.outages))
            ),
            "memory": lambda: memory(table, 60.0 if quick else 60 * args.minutes),
        }
        for row in args.only.split(",") if args.only else rows:
            rows[row]()
    print(json.dumps({"load": os.getloadavg()[0], "cores": os.cpu_count()}))
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
