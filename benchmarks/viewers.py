"""How far behind a viewer is on a line of 2 Mbit/s, directly and behind nginx.

A service shows a new picture of 640 x 480 ten times a second; each is marked, so that it is known
again. Five viewers, each in a network namespace of its own behind a line that the kernel limits
(tbf), look at the stream, and ask for one frame after the other as the page does; directly, and
behind an nginx and a Caddy with the recipes of docs/live-page.md. Age: from when the service had
the result until the viewer has the whole picture, over the last ten seconds.

Needs root, iproute2, nginx (Debian's nginx-light) and Caddy.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np

from edge.classifier.model import models_folder
from edge.commands import run
from edge.commands.arguments import count
from edge.errors import EdgeError
from edge.image.preprocess import encode_jpeg, read_image

NAME = "viewers"
CADDY = shutil.which("caddy")
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SIZE, FPS = (480, 640), 10
RATE, QUEUE = "2mbit", "300ms"  # of the line, and how long a packet waits for it
CONGESTION = "cubic"  # the congestion control that Debian and Raspberry Pi OS have
MARKS = 1024  # pictures that are told apart: more than the seconds looked at
BITS, SIDE = 10, 48  # a mark is a row of black and white squares
LAST_S = 10.0
WANTED_S = 1.0
NGINX_CONF = """
daemon off; pid nginx.pid; error_log nginx.log; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
  uwsgi_temp_path t4; scgi_temp_path t5;
  server {{ listen {proxy};
    location / {{ proxy_pass http://127.0.0.1:{page}; proxy_set_header Host $host; }} }}
}}
"""
CADDYFILE = """
{{
 admin off
 auto_https off
}}
http://:{caddy} {{
 reverse_proxy 127.0.0.1:{page}
}}
"""


class ToolError(EdgeError):
    """Something that this needs is not there."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/viewers.py`."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/viewers.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = "seconds that are looked (default: 60)"
    parser.add_argument("--seconds", type=count, default=60, metavar="N", help=text)
    text = f"congestion control of the kernel: cubic, bbr (default: {CONGESTION})"
    parser.add_argument("--congestion", default=CONGESTION, metavar="NAME", help=text)
    parser.add_argument("--look", nargs=3, metavar=("KIND", "HOST", "PORT"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.look:
        kind, host, port = args.look
        return _look(kind, host, int(port), args.seconds)
    return run(lambda: _measure(args.seconds, args.congestion), NAME)


def _measure(seconds: int, congestion: str) -> int:
    for tool, package in (
        ("nginx", "nginx-light"),
        ("caddy", "caddy"),
        ("tc", "iproute2"),
        ("unshare", "util-linux"),
    ):
        if not shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
            raise ToolError(tool, "is not installed", f"apt-get install {package}")
    if os.geteuid() != 0:
        raise ToolError("network namespaces", "are root's", "run it as root")
    if os.environ.get("EDGE_IN_NAMESPACE") != "yes":
        os.environ["EDGE_IN_NAMESPACE"] = "yes"
        # With its namespace of processes everything that is started here ends.
        words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [*words, sys.executable, *sys.argv]
        return subprocess.run(command, check=False).returncode
    _do("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory() as name:
        return _table(Path(name), seconds, congestion)


def _table(folder: Path, seconds: int, congestion: str) -> int:
    photos = _draw(folder)
    page, proxy, caddy, worst = 8080, 8081, 8082, 0.0
    (folder / "nginx.conf").write_text(NGINX_CONF.format(page=page, proxy=proxy))
    (folder / "Caddyfile").write_text(CADDYFILE.format(page=page, caddy=caddy))
    model = models_folder() / "hotdog-scratch.tflite"
    words = [sys.executable, "-m", "edge", "watch", "--source", photos, "--repeat", "--every", "0"]
    words += ["--fps", FPS, "-m", model, "--web", f"0.0.0.0:{page}"]
    with ExitStack() as stack:
        stack.enter_context(_running(folder, words))
        stack.enter_context(_running(folder, [NGINX, "-p", folder, "-c", "nginx.conf"]))
        stack.enter_context(_running(folder, [CADDY, "run"]))
        known = stack.enter_context(closing(Known(page)))
        lines = [_Line(stack, number, congestion) for number in range(5)]
        looks = [
            ("the stream", "directly", lines[0].look("stream", page, seconds)),
            ("frame by frame, as the page", "directly", lines[1].look("frames", page, seconds)),
            ("the stream", "behind nginx", lines[2].look("stream", proxy, seconds)),
            (
                "frame by frame, as the page",
                "behind nginx",
                lines[3].look("frames", proxy, seconds),
            ),
            ("the stream", "behind Caddy", lines[4].look("stream", caddy, seconds)),
        ]
        print("| viewer on 2 Mbit/s | | median age | longest | frames | wanted |")
        print("|---|---|---|---|---|---|")
        for what, where, process in looks:
            seen = [json.loads(line) for line in process.communicate()[0].splitlines()]
            ages = list(_ages(seen, known))
            longest = max(ages, default=float("inf"))
            worst = max(worst, longest)
            median = statistics.median(ages) if ages else float("inf")
            rate = len(ages) / LAST_S
            print(f"| {what} | {where} | {median:.2f} s | {longest:.2f} s ", end="")
            print(f"| {rate:.1f} a second | {WANTED_S:g} s |", flush=True)
    return 0 if worst <= WANTED_S else 1


def _ages(seen: list[tuple[float, int]], known: Known) -> Iterator[float]:
    """The age of each picture of the last seconds."""
    end = max((at for at, _ in seen), default=0.0)
    for at, mark in seen:
        if at >= end - LAST_S:
            yield at - known.since(mark, at)


# --- pictures that are known again


def _draw(folder: Path) -> Path:
    """A folder of pictures, each with its number as squares; of a photo's size as JPEG."""
    photos = folder / "photos"
    photos.mkdir()
    grain = np.random.default_rng(3).normal(128, 9, (*SIZE, 3))
    picture = grain.clip(0, 255).astype(np.uint8)
    for number in range(MARKS):
        for bit in range(BITS):
            picture[:SIDE, bit * SIDE : (bit + 1) * SIDE] = 255 * (number >> bit & 1)
        (photos / f"{number:04}.jpg").write_bytes(encode_jpeg(picture))
    return photos


def _mark(jpeg: bytes) -> int:
    """The number of a picture."""
    pixels = read_image(jpeg, SIZE)
    middle = SIDE // 2
    return sum(int(pixels[middle, bit * SIDE + middle].mean() > 127) << bit for bit in range(BITS))


class Known:
    """When the service had the result of each picture, asked beside the slow lines."""

    def __init__(self, port: int) -> None:
        """Args: of the page; it is waited for."""
        self._port, self._first = port, dict[int, float]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        while not self._first:
            time.sleep(0.1)

    def since(self, mark: int, at: float) -> float:
        """When a picture was new; `at` is when it was seen."""
        return max((s for s in [self._first.get(mark, at)] if s <= at), default=at)

    def close(self) -> None:
        """Ask no more."""
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ended.wait(0.03):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                connection.request("GET", "/latest.json")
                sighting = json.load(connection.getresponse())["result"]
                connection.close()
            except OSError:
                continue
            if sighting:
                self._first[int(Path(sighting["source"]).stem)] = _now()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)  # the same in all namespaces


# --- lines


class _Line:
    """A network namespace at the end of a slow line."""

    def __init__(self, stack: ExitStack, number: int, congestion: str) -> None:
        self._stack, self.host = stack, f"10.9.{number}.1"
        self._place = stack.enter_context(_running(None, ["unshare", "--net", "sleep", "3600"]))
        here, there, pid = f"a{number}", f"b{number}", self._place.pid
        time.sleep(0.5)  # until it has its namespace
        _do("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", str(pid))
        _do("ip", "addr", "add", f"{self.host}/24", "dev", here)
        _do("ip", "link", "set", here, "up")
        network = f"10.9.{number}.0/24 dev {here} proto kernel scope link src {self.host}"
        _do(*f"ip route change {network} congctl {congestion}".split())
        _do(*f"tc qdisc add dev {here} root tbf rate {RATE} burst 10kb latency {QUEUE}".split())
        inside = ["nsenter", "--net", "--target", str(pid)]
        _do(*inside, "ip", "addr", "add", f"10.9.{number}.2/24", "dev", there)
        _do(*inside, "ip", "link", "set", there, "up")
        self._inside = inside

    def look(self, kind: str, port: int, seconds: int) -> subprocess.Popen[bytes]:
        """Start a viewer."""
        words = [sys.executable, __file__, "--seconds", str(seconds)]
        words += ["--look", kind, self.host, str(port)]
        process = subprocess.Popen([*self._inside, *words], stdout=subprocess.PIPE)
        self._stack.callback(process.kill)
        return process


# --- a viewer


def _look(kind: str, host: str, port: int, seconds: int) -> int:
    """Print when each picture was whole, and which it was."""
    seen: list[tuple[float, bytes]] = []
    end = _now() + seconds
    for jpeg in _stream(host, port) if kind == "stream" else _frames(host, port):
        seen.append((_now(), jpeg))
        if _now() > end:
            break
    for at, jpeg in seen:
        print(json.dumps([at, _mark(jpeg)]))
    return 0


def _stream(host: str, port: int) -> Iterator[bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", "/stream.mjpg")
    answer = connection.getresponse()
    while True:
        length = 0
        while line := answer.readline().strip() or not length:
            if isinstance(line, bytes) and line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        yield answer.read(length)


def _frames(host: str, port: int) -> Iterator[bytes]:
    connection, number = http.client.HTTPConnection(host, port, timeout=60), 0
    while True:
        connection.request("GET", f"/frame.json?after={number}")
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            continue
        number = json.loads(content)["frame"]
        connection.request("GET", f"/frame.jpg?frame={number}")
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 200:
            yield content


# --- what is started


@contextmanager
def _running(folder: Path | None, words: Sequence[object]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log" if folder else Path(os.devnull)).open("a") as log:
        process = subprocess.Popen(list(map(str, words)), cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _do(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(" ".join(words), f"failed ({done.stderr.strip()})", "see its manual")


if __name__ == "__main__":
    sys.exit(main())
