"""The decoder's process: PyAV opens a file or a stream, and gives one frame for each request.

ffmpeg is C that reads what strangers wrote: it can hang, crash or take all memory. Here it does so
alone; who started it kills it. Nothing is imported that a decoder needs not: it takes 35 MB.

Requests come as JSON lines on stdin: first what to open, then a line for each frame. Replies are
JSON lines on stdout; a frame's pixels, RGB as they are stored, are in the memory whose descriptor
is the first argument. At the end of stdin the process exits, whatever its threads are at.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import av.logging
from av.video.reformatter import Colorspace, VideoReformatter

from edge.sources.video.opening import UnusableError, explained, open_video

MAX_MEMORY = 2_000_000_000  # of addresses; only 64-bit machines have more
SIGN_S = 1.0  # between two signs of life
SPARSE_S = 10.0  # samples further apart are reached by a seek
SKIPPED_S = 1.0  # samples further apart need no frame that no other refers to
KNOWN_S = 1.0  # what a file may lack at its end before it is called cut off
# How colours are coded, as libswscale numbers it; an old PyAV lacks the one of phones' HDR.
BT709, BT601, SMPTE240M = 1, 5, 7
BT2020 = 9 if hasattr(Colorspace, "BT2020") else BT709
Reply = dict[str, Any]


class Output:
    """Where replies and pixels go."""

    def __init__(self, memory: int) -> None:
        """Args: the descriptor of the shared memory."""
        self._memory = memory
        self._lock = threading.Lock()
        self._scale = VideoReformatter()
        self.said_s = time.monotonic()

    def say(self, reply: Reply) -> None:
        """Write a reply."""
        line = f"{json.dumps(reply)}\n".encode()
        with self._lock:
            self.said_s = time.monotonic()
            while line:
                line = line[os.write(1, line) :]

    def frame(self, frame: Any, at_least: tuple[int, int] | None, facts: Reply) -> None:
        """Write a frame's pixels at the smallest size that covers `at_least`, and the reply."""
        turns = _turns(frame)
        height, width = _size(frame.height, frame.width, at_least, turns)
        made = self._scale.reformat(
            frame, width, height, "rgb24", src_colorspace=_matrix(frame), interpolation="AREA"
        )
        plane = made.planes[0]
        rows, stride, row = memoryview(plane).cast("B"), plane.line_size, width * 3
        if stride == row:
            os.pwrite(self._memory, rows[: height * row], 0)
        else:
            packed = b"".join(rows[y * stride : y * stride + row] for y in range(height))
            os.pwrite(self._memory, packed, 0)
        self.say({"frame": [height, width, turns], **facts})


def _turns(frame: Any) -> int:
    """Counter-clockwise quarters that make it upright, by its display matrix (PyAV 14)."""
    return round(getattr(frame, "rotation", 0) / 90) % 4


def _size(height: int, width: int, at_least: tuple[int, int] | None, turns: int) -> tuple[int, int]:
    """The (height, width) to scale to, before a frame is turned; never more than it has."""
    if not at_least:
        return height, width
    wanted = at_least[::-1] if turns % 2 else at_least
    scale = max(wanted[0] / height, wanted[1] / width)
    if scale >= 1:
        return height, width
    return math.ceil(height * scale), math.ceil(width * scale)


def _matrix(frame: Any) -> int:
    """How its colours are coded."""
    # As ITU-T H.273 numbers them. ffmpeg and OpenCV, too, take what is unspecified for BT.601.
    said = int(getattr(frame, "colorspace", 2))
    return {1: BT709, 7: SMPTE240M, 9: BT2020, 10: BT2020}.get(said, BT601)


class Clip:
    """A file's frames, those that are sampled, in order."""

    def __init__(self, request: Reply, output: Output) -> None:
        """Open it. Raises: UnusableError, what PyAV does."""
        self._container, self._stream = open_video(request)
        self._output = output
        self._start_s, self._step_s = request["start_s"], request["step_s"]
        self._every = request["every"]
        base = self._stream.start_time
        self._zero_s = float(base * self._stream.time_base) if base is not None else 0.0
        self._at_s = 0.0  # within the clip, of the newest frame
        self._damaged = 0  # packets that could not be decoded
        self.duration_s = self._duration_s()
        if self._step_s >= SKIPPED_S:
            self._stream.codec_context.skip_frame = "NONREF"
        if self._start_s:
            self._seek(self._start_s)
        self._frames = self._sampled()
        self._first = next(self._frames, None)  # which alone knows how it is turned

    def _duration_s(self) -> float:
        stream = self._stream
        if stream.duration:
            return float(stream.duration * stream.time_base)
        return (self._container.duration or 0) / 1e6

    def opened(self) -> Reply:
        """What is known of it."""
        made = self._container.metadata.get("creation_time", "")
        known = {"duration_s": self.duration_s, "created": made, "size": None}
        if self._first:
            frame = self._first[0]
            size = (frame.height, frame.width)
            known["size"] = size[::-1] if _turns(frame) % 2 else size
        return known

    def next(self, at_least: tuple[int, int] | None) -> None:
        """Write the next frame, or how the clip ended."""
        item, self._first = self._first or next(self._frames, None), None
        if item:
            self._output.frame(item[0], at_least, {"at_s": item[1]})
        else:
            self._output.say({"end": self._ending()})

    def _ending(self) -> list[str]:
        """What went wrong, as fault and remedy; empty where nothing did."""
        rate = self._stream.average_rate
        missing_s = self.duration_s - self._at_s - (1 / float(rate) if rate else 0.0)
        if self._damaged:
            return [f"is damaged: {self._damaged} packets could not be decoded", "copy it again"]
        if self.duration_s and missing_s > max(KNOWN_S, 0.1 * min(self.duration_s, 60)):
            if self._start_s > self.duration_s:
                return [f"ends at {self.duration_s:.1f} s", "use an earlier --start"]
            fault = f"is cut off at {self._at_s:.1f} of {self.duration_s:.1f} s"
            return [fault, "copy it again from the card"]
        return []

    def _seek(self, at_s: float) -> None:
        place = int((at_s + self._zero_s) / self._stream.time_base)
        with contextlib.suppress(av.error.FFmpegError):  # else all before it is decoded
            self._container.seek(place, stream=self._stream)

    def _sampled(self) -> Iterator[tuple[Any, float]]:
        due_s, number = self._start_s, -1
        frames = self._decoded()
        while (frame := next(frames, None)) is not None:
            at_s = self._position(frame)
            self._at_s = max(self._at_s, at_s)
            if at_s < self._start_s - 1e-6:
                continue
            number += 1
            if number % self._every or at_s < due_s - 1e-6:
                continue
            yield frame, at_s
            if self._step_s:
                due_s = self._start_s + self._step_s * (
                    math.floor((at_s - self._start_s) / self._step_s + 1e-6) + 1
                )
            if self._step_s >= SPARSE_S and due_s < self.duration_s:
                self._seek(due_s)
                frames = self._decoded()

    def _position(self, frame: Any) -> float:
        if frame.time is not None:
            return float(frame.time) - self._zero_s
        rate = self._stream.average_rate
        return self._at_s + (1 / float(rate) if rate else 0.04)

    def _decoded(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                self._damaged += 1
            except av.error.EOFError:
                return
            if time.monotonic() - self._output.said_s > SIGN_S:
                self._output.say({"alive": True})


class Live:
    """A stream's newest frame: a thread decodes all of them, and only the newest is kept."""

    def __init__(self, request: Reply, output: Output) -> None:
        """Open it. Raises: UnusableError, what PyAV does."""
        self._container, self._stream = open_video(request)
        self._output = output
        self._news = threading.Condition()
        self._newest: tuple[Any, int] | None = None  # with when it was decoded
        self._count = self._packets = self._given = 0
        self._fault: BaseException | None = None
        threading.Thread(target=self._read, daemon=True).start()

    def opened(self) -> Reply:
        """What is known of it."""
        return {"codec": self._stream.codec_context.name}

    def next(self, at_least: tuple[int, int] | None) -> None:
        """Write the newest frame that was not given yet; wait for one."""
        with self._news:
            while self._newest is None and self._fault is None:
                if not self._news.wait(SIGN_S):
                    self._output.say({"alive": True, "packets": self._packets})
            if self._newest is None:
                assert self._fault is not None
                raise self._fault
            (frame, decoded_ns), self._newest = self._newest, None
            dropped, self._given = self._count - self._given - 1, self._count
        self._output.frame(frame, at_least, {"ns": decoded_ns, "dropped": dropped})

    def _read(self) -> None:
        try:
            for packet in self._container.demux(self._stream):
                self._packets += 1
                self._decode(packet)
            raise UnusableError("the stream ended", "it will be reopened")
        except BaseException as error:
            with self._news:
                self._fault = error
                self._news.notify()

    def _decode(self, packet: Any) -> None:
        try:
            frames = [one for one in packet.decode() if not one.is_corrupt]
        except av.error.InvalidDataError:  # half a frame; the next are whole again
            return
        if frames:
            with self._news:
                self._newest = (frames[-1], time.monotonic_ns())
                self._count += len(frames)
                self._news.notify()


def _limit_memory() -> None:
    if sys.maxsize > 2**32:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def _exit_with_parent() -> None:
    """Exit when stdin is closed, whatever the main thread waits for: the parent has ended."""
    poll = select.poll()
    poll.register(0, 0)  # the end alone is reported
    poll.poll()
    os._exit(0)


def _attempt(work: Callable[[], None], output: Output, is_file: bool) -> bool:
    """Do it; report a failure, and return whether there was none."""
    try:
        work()
    except BaseException as error:
        output.say({"error": explained(error, is_file)})
        return False
    return True


def main() -> None:
    """Serve the one who started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends it
    av.logging.set_level(av.logging.PANIC)
    _limit_memory()
    output = Output(int(sys.argv[1]))
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    videos: list[Clip | Live] = []

    def open_it() -> None:
        videos.append((Clip if request["is_file"] else Live)(request, output))
        output.say({"opened": videos[0].opened()})

    going = _attempt(open_it, output, request["is_file"])
    for line in sys.stdin:  # until its end, which is the reader's
        if not going:
            break
        at_least = json.loads(line)
        going = _attempt(lambda at=at_least: videos[0].next(at), output, request["is_file"])  # type: ignore[misc]
    sys.stdout.flush()
    os._exit(0)  # threads may be in C


if __name__ == "__main__":
    main()
