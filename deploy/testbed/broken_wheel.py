"""A wheel as another release would be: broken_wheel.py WHEEL FOLDER VERSION FAULT.

It is WHEEL under another version, and installs; its RECORD holds. FAULT is "none", or what a bad
release has. "answers": the scores that its models' golden vectors must give are wrong, which only
its own check can tell. "crash": it passes its check, and crashes when it starts to work. "hang": it
works, and then an invoke does not come back.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path

CRASH = b"""

def watch(*_, **__):
    __import__("os").abort()
"""

EXIT = b"""

def watch(*_, **__):
    __import__("os")._exit(1)
"""

HANG = b"""

def _hang(model, invoke=Model.invoke, left=[40]):
    left[0] -= 1
    if left[0] < 0:
        __import__("time").sleep(3600)
    return invoke(model)


Model.invoke = _hang
"""


def spoil(model: bytes) -> bytes:
    """Change the first golden score, and the checksums with it: what is left is a wrong answer."""
    with zipfile.ZipFile(io.BytesIO(model)) as archive:  # at the model's end, uncompressed
        good = archive.read("edge.json")
    facts = json.loads(good)
    score = facts["golden"]["scores"][0][0]
    wrong = f"{(score + 0.5) % 1.0:.6f}"[: len(str(score))].ljust(len(str(score)), "0")
    bad = good.replace(str(score).encode(), wrong.encode(), 1)
    checksum, new_checksum = (struct.pack("<I", zlib.crc32(text)) for text in (good, bad))
    return model.replace(good, bad).replace(checksum, new_checksum)


def changed(name: str, content: bytes, fault: str) -> bytes:
    """Return a member of the wheel as the fault has it."""
    if fault == "answers" and name.endswith(".tflite"):
        return spoil(content)
    if fault == "crash" and name == "edge/service/watch.py":
        return content + CRASH
    if fault == "exit" and name == "edge/service/watch.py":
        return content + EXIT
    if fault == "hang" and name == "edge/classifier/model.py":
        return content + HANG
    return content


def record_line(name: str, content: bytes) -> str:
    """Return what RECORD has of a member: its sha256 and size."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def main() -> int:
    """Write the wheel."""
    source, folder, version, fault = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
    name, old, *tags = source.stem.split("-")
    info = f"{name}-{version}.dist-info"
    out = folder / f"{'-'.join((name, version, *tags))}.whl"
    record = ""
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bad:
        for member in good.namelist():
            content = changed(member, good.read(member), fault)
            member = member.replace(f"{name}-{old}.", f"{name}-{version}.")
            if member == f"{info}/RECORD":
                continue
            if member == f"{info}/METADATA":
                content = content.replace(
                    f"Version: {old}".encode(), f"Version: {version}".encode()
                )
            bad.writestr(member, content)
            record += record_line(member, content)
        bad.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
