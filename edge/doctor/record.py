"""Checks of the files: whether they are what was installed (RECORD), and for this Python.

A power cut soon after an installation leaves files with their names and no content.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.doctor.finding import FAULT, INSTALL, INSTALLED, NOT_HERE, OK, Context, Finding, pip

PACKAGE = "edge-classify"
PARTS = ("litert", "web", "mqtt", "video", "sun")  # whose packages the device may have
NAMED = 3  # files in a finding
CHUNK = 1 << 20


@dataclass(frozen=True)
class Damage:
    """What of an installation differs from its records."""

    count: int  # files that were looked at
    files: tuple[str, ...]  # each with what is wrong with it


def files(context: Context) -> Finding:
    """Whether the files of this installation, and of the service's, are as they were installed."""
    found, count = [], 0
    for site in _sites(context):
        damage = examined(site)
        count += damage.count
        if damage.files:
            more = "" if len(damage.files) <= NAMED else ", ..."
            named = f"{', '.join(damage.files[:NAMED])}{more}"
            found.append((site, f"{len(damage.files)} of {damage.count} differ ({named})"))
    if found:
        text = "; ".join(f"{site}: {what}" for site, what in found)
        return Finding(FAULT, text, _remedy(found[0][0]))
    if not count:
        return Finding(NOT_HERE, "nothing was installed: this is a checkout")
    return Finding(OK, f"all {count} files are as installed")


def _sites(context: Context) -> list[Path]:
    """The folders of packages that this process and the service have edge from."""
    first = list(importlib.metadata.distributions(name=PACKAGE, path=sys.path))[:1]
    own = {Path(str(found.locate_file(""))).resolve() for found in first}
    current = context.root / INSTALLED.lstrip("/") / "current"
    service = {site.resolve() for site in current.glob("lib/python3*/site-packages")}
    return sorted(own | service)


def examined(site: Path) -> Damage:
    """Compare what edge stands on in a folder of packages with what was recorded of it."""
    count, damaged = 0, list[str]()
    for name, record in _needed(site):
        # Not distribution.files, which leaves out what is missing.
        rows = [row for row in csv.reader(record.splitlines()) if len(row) == 3]
        if not rows:
            count += 1
            damaged.append(f"{name}/RECORD is empty")
        for file, digest, size in rows:
            # RECORD itself has no digest; compiled files, numpy 1.26 ships some, are made again.
            if not digest or file.endswith(".pyc"):
                continue
            count += 1
            fault = _fault(site / file, size, *digest.split("=", 1))
            if fault:
                damaged.append(f"{file} {fault}")
    return Damage(count, tuple(damaged))


def _needed(site: Path) -> Iterator[tuple[str, str]]:
    """Yield name and RECORD of edge in a folder, and of what lies there that it needs."""
    here = {
        _normal(path.name.split("-")[0]): path for path in site.glob("*.dist-info") if path.is_dir()
    }
    waiting, known = [PACKAGE], {PACKAGE}
    while waiting:
        path = here.get(waiting.pop())
        if path is None:
            continue
        distribution = importlib.metadata.Distribution.at(path)
        record = distribution.read_text("RECORD")
        if record is None:  # apt's: dpkg keeps its own
            continue
        yield path.name, record
        for line in distribution.requires or ():
            name = _normal(re.split(r"[^\w.-]", line, maxsplit=1)[0])
            extra = re.search(r"extra == ['\"]([\w-]+)", line)
            if name not in known and (extra is None or extra.group(1) in PARTS):
                known.add(name)
                waiting.append(name)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _fault(path: Path, size: str, kind: str, recorded: str = "") -> str:
    """What is wrong with a file; "" for nothing."""
    try:
        length = path.stat().st_size
        if not length and size != "0":
            return "is empty"
        if size and size != str(length):
            return f"has {length} bytes, not {size}"
        return "" if _digest(path, kind) == recorded else "has other content"
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"


def _digest(path: Path, kind: str) -> str:
    digest = hashlib.new(kind)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _remedy(site: Path) -> str:
    if INSTALLED in f"{site}/":
        return INSTALL
    return pip(f"install --force-reinstall --no-deps {PACKAGE}")


def service_python(context: Context) -> Finding:
    """Whether the system's Python is still the one that the service was installed for."""
    current = context.root / INSTALLED.lstrip("/") / "current"
    built = sorted(path.name for path in current.glob("lib/python3*") if path.is_dir())
    if not built:
        return Finding(NOT_HERE, "the service is not installed")
    here = re.findall(r"python3\.\d+", (current / "bin/python").resolve().name)
    if not here:
        found = f"{current / 'bin/python'} is not a link to a Python"
        return Finding(FAULT, found, context.install)
    if here[0] not in built:
        found = f"the service was installed for {built[-1]}, and the system has {here[0]} now"
        return Finding(FAULT, found, context.install)
    return Finding(OK, here[0])
