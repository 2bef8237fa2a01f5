"""What a power cut has left of the files: power_files.py installed|state FOLDER.

"installed": the version in FOLDER, by its packages' RECORDs and its SHA256SUMS, and all compiled
modules and wheels. "state": the service's pictures, results and notes. One line, "whole" or what is
not; exit status 1 then.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import marshal
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

PYC_HEADER = 16  # bytes before the code


def damaged_installed(version: Path) -> Iterator[str]:
    """Yield the files that are not what was installed."""
    hashes = dict(_recorded(version)) | dict(_summed(version))
    if not hashes:
        yield "no RECORD"
    for path, expected in hashes.items():
        if not path.exists() or hashlib.sha256(path.read_bytes()).digest() != expected:
            yield f"{path.name} {_size(path)}"
    for path in sorted(version.rglob("*.pyc")):
        if not _compiled(path):
            yield f"{path.name} {_size(path)}"
    for path in [p for p in sorted(version.glob("deploy/**/*")) if p.is_file()]:
        if not path.stat().st_size or (path.suffix == ".whl" and not zipfile.is_zipfile(path)):
            yield f"{path.name} {_size(path)}"


def _recorded(version: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield what pip has recorded; not the commands in bin/, which install.sh may write anew."""
    for record in version.glob("lib/python3*/site-packages/*.dist-info/RECORD"):
        for name, recorded, _ in csv.reader(record.read_text().splitlines()):
            if recorded and not name.startswith("../../../bin/"):
                digest = recorded.removeprefix("sha256=") + "="
                yield record.parent.parent / name, base64.urlsafe_b64decode(digest)


def _summed(version: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield what install.sh has recorded."""
    sums = version / "SHA256SUMS"
    for line in sums.read_text().splitlines() if sums.exists() else ():
        digest, _, name = line.partition("  ")
        yield version / name, bytes.fromhex(digest)


def damaged_state(folder: Path) -> Iterator[str]:
    """Yield what is half written of the service's own."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if ".jsonl" in path.suffixes:
            lines = [line for line in path.read_bytes().split(b"\n") if line]
            half = [line for line in lines if not _parses(line)]
            # The cut may halve a line, after which the next one is whole.
            if len(half) > 1 or any(b"\0" in line for line in half):
                nulls = sum(line.count(b"\0") for line in half)
                yield f"{path.name} {len(half)} of {len(lines)} lines, {nulls} NUL bytes"
        elif not _is_whole(path):
            yield f"{path.name} {_size(path)}"


def _is_whole(path: Path) -> bool:
    if path.suffix == ".jpg":
        return _decodes(path)
    if path.suffix == ".json":
        return _parses(path.read_bytes())
    if path.name.startswith("threads-"):
        return path.read_text().strip().isdigit()
    return path.suffix != ".partial"


def _size(path: Path) -> str:
    return f"{path.stat().st_size} bytes" if path.exists() else "missing"


def _compiled(path: Path) -> bool:
    content = path.read_bytes()
    if len(content) < PYC_HEADER:  # Python compiles it again
        return True
    try:
        marshal.loads(content[PYC_HEADER:])
    except (EOFError, ValueError, TypeError):
        return False
    return True


def _parses(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False


def _decodes(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError):
        return False
    return True


def main() -> int:
    """Say what is damaged."""
    look = {"installed": damaged_installed, "state": damaged_state}[sys.argv[1]]
    damaged = list(look(Path(sys.argv[2])))
    if damaged:
        print(f"{len(damaged)} damaged: {', '.join(damaged[:2])}{', ...' if damaged[2:] else ''}")
        return 1
    print("whole")
    return 0


if __name__ == "__main__":
    sys.exit(main())
