"""Requests that no one should send, drawn by a seed, over plain sockets to a real service.

What must hold of each: an answer or a closed connection within the time limit, no 500, nothing of a
file that is not the page's, nothing written without the token; and the service goes on.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TypeVar

from live import HOTDOG, TOKEN, Watching, watching

PATHS = (
    *("/", "/page.js", "/latest.json", "/history.json?since=1", "/events.json", "/frame.jpg"),
    *("/input.png", "/healthz", "/metrics", "/keep", "/snapshot", "/explain", "/events/1.jpg"),
)
TRICKS = (
    *("/../../etc/passwd", "/static/../settings.py", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"),
    *("/page.js%00.css", "/page.js/..", "/events/1.jpg/../../x", "/\\..\\..\\etc\\passwd"),
    *("/history.json?since=" + "9" * 400, "/events/" + "1" * 300 + ".jpg", "/?" + "a=b&" * 500),
    *("http://127.0.0.1/latest.json", "*", "", "/\u00e9", "/%ff%fe", "/..;/keep"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "G\0T", "")
BODIES = (
    *(b"", b"{}", b'{"label": "x"}', b'{"label": "../../x"}', b"[" * 3000, b"\xff" * 100),
    *(b'{"label": "' + b"x" * 3900 + b'"}', b'{"label": "x", "frame": 1e999}', b"null"),
)
TIMEOUT_S = 30.0
T = TypeVar("T")
SECRETS = (b"root:", b"from __future__", TOKEN.encode())


def drawn(draw: random.Random) -> bytes:
    """Draw a request: a good one, with a few things that are not."""

    def either(good: T, *odd: T) -> T:
        return draw.choice(odd) if draw.random() < 0.15 else good

    path = draw.choice(PATHS if draw.random() < 0.7 else TRICKS)
    method = either("POST" if path in ("/keep", "/snapshot", "/explain") else "GET", *METHODS)
    version = either("HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "", "HTTP/1.1 x")
    body = either(b"", *BODIES)
    lines = [f"{method} {path} {version}".encode()]
    lines.append(b"Host: " + either(b"localhost", b"evil.example", b"", b"a b", b"["))
    length = either(len(body), 0, len(body) + 5, -1, 10**12)
    if body or length:
        lines.append(f"Content-Length: {length}".encode())
    lines += either([], [b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: gzip, chunked"])
    lines += either([], [b"X: " + b"y" * 5000], [b"X: " + b"y" * 70_000], [b"Y: z"] * 500)
    lines += either([], [draw.randbytes(40)], [b"Authorization: Bearer " + draw.randbytes(20)])
    whole = b"\r\n".join(lines) + b"\r\n\r\n" + body
    whole = either(whole, whole[: draw.randrange(len(whole) + 1)])
    return either(whole, _flipped(whole, draw))


def _flipped(whole: bytes, draw: random.Random) -> bytes:
    """Some bytes are others."""
    cut = bytearray(whole)
    for _ in range(draw.randrange(1, 20) if cut else 0):
        cut[draw.randrange(len(cut))] = draw.randrange(256)
    return bytes(cut)


def asked(port: int, request: bytes) -> bytes:
    """Send it, say that no more comes, and return what is answered. Raises: TimeoutError."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while len(answer) < 1_000_000 and (more := connection.recv(65536)):
                answer += more
        except TimeoutError:
            raise
        except OSError:  # closed before it was all sent, which is an answer as well
            pass
    return answer


def fault(service: Watching, request: bytes, answer: bytes) -> str:
    """What is wrong with an answer; "" where nothing is."""
    status = answer[9:12]
    if status[:1] == b"5" and status not in (b"501", b"503"):
        return f"answered {status.decode()}"
    if any(secret in answer for secret in SECRETS if secret not in request):
        return "gave a file away"
    if (service.state / "dataset").exists() or (service.state / "snapshots").exists():
        return "wrote something"
    return "" if service.process.poll() is None else "died"


def run(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Send them, and return how many had which status, and what was wrong."""
    draw, statuses, faults = random.Random(seed), Counter[str](), list[str]()
    with (
        tempfile.TemporaryDirectory() as folder,
        watching(Path(folder), HOTDOG, "--fps", 5) as service,
    ):
        service.after(1)
        for number in range(count):
            request = drawn(draw)
            try:
                answer = asked(service.port, request)
                wrong = fault(service, request, answer)
            except TimeoutError:
                answer, wrong = b"", "hangs"
            statuses[answer[9:12].decode(errors="replace") or "closed"] += 1
            if wrong:
                faults.append(f"request {number} of seed {seed} {wrong}: {request[:200]!r}")
        before = service.document("/latest.json")["result"]["frame"]
        service.after(before + 3)
        said = service.stderr.read_text()
        if said.count("\n") != 1:
            faults.append(f"said {said[:500]!r}")
    return statuses, faults


def main() -> int:
    """Send as many as are asked for; the entry of `make fuzz`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="requests (default: 5000)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (default: 1)")
    args = parser.parse_args()
    statuses, faults = run(args.count, args.seed)
    print(f"{args.count} requests: {dict(sorted(statuses.items()))}; {len(faults)} wrong")
    print("\n".join(faults[:20]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
