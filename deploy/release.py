"""Build what is released: release.py [FOLDER], dist/release unless one is named.

The wheel, the source archive, the models with their cards, and SHA256SUMS of them all. Nothing is
built unless version, changelog and tag agree and every change is committed; the wheel is built
twice, and must come out the same to the byte. FOLDER appears whole or not at all. REPOSITORY_URL is
the repository's address, which the package names (deploy/metadata.py).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUMS = "SHA256SUMS"


class ReleaseError(Exception):
    """Why there is no release, and what to do about it."""


def git(*words: str) -> str:
    """Run git, and return its output."""
    asked = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if asked.returncode:
        raise ReleaseError(f"git {' '.join(words)}: {asked.stderr.strip() or 'failed'}")
    return asked.stdout.strip()


def agreed_version() -> str:
    """Return the version that the package, the changelog and the tag of this commit name."""
    package = (ROOT / "edge" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', package, re.MULTILINE)
    if not found:
        raise ReleaseError("edge/__init__.py: has no __version__; add it")
    version = found[1]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[(.+?)\] - (\S+)$", changelog, re.MULTILINE)
    if not newest or newest[1] != version:
        told = newest[1] if newest else "none"
        raise ReleaseError(f"CHANGELOG.md: its newest version must be {version}. Received: {told}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", newest[2]):
        raise ReleaseError(
            f"CHANGELOG.md: {version} must have its date (YYYY-MM-DD). Received: {newest[2]}"
        )
    tags = git("tag", "--points-at", "HEAD").split()
    if f"v{version}" not in tags:
        told = ", ".join(tags) or "none"
        raise ReleaseError(
            f"this commit must have the tag v{version}: git tag v{version}. Received: {told}"
        )
    return version


def check_address() -> None:
    """Reject an environment without the address that the package's page links to."""
    address = os.environ.get("REPOSITORY_URL", "")
    if not re.fullmatch(r"https://[^/\s]+/\S+", address):
        raise ReleaseError(
            "REPOSITORY_URL must be the repository's address: "
            f"REPOSITORY_URL=https://... make release. Received: {address or 'none'}"
        )


def check_committed() -> None:
    """Reject what is not in the commit: it would be in the release."""
    if changed := git("status", "--porcelain"):
        raise ReleaseError(f"{changed.split()[-1]}: is not committed; commit it, or run git stash")


def build(folder: Path, *targets: str) -> Iterator[Path]:
    """Build with the time of the commit for every file's, and yield what was made."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct")}
    options = [word for target in targets for word in ("--target", target)]
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f"hatchling failed: {done.stderr.strip().splitlines()[-1:]}")
    yield from sorted(folder.iterdir())


def same_twice(wheel: Path, folder: Path) -> None:
    """Build the wheel again, and reject it where it comes out otherwise."""
    (again,) = build(folder, "wheel")
    if again.read_bytes() != wheel.read_bytes():
        raise ReleaseError(
            f"{wheel.name}: differs when built again; compare the two with diffoscope"
        )


def sums(folder: Path) -> str:
    """Return the lines that `sha256sum --check` takes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
        for path in files
    )


def release(folder: Path) -> None:
    """Fill FOLDER. Raises: ReleaseError."""
    check_address()
    check_committed()
    version = agreed_version()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
        new, again = Path(work) / "new", Path(work) / "again"
        for made in build(new, "wheel", "sdist"):
            if made.suffix == ".whl":
                same_twice(made, again)
        (new / "models").mkdir()
        for model in sorted((ROOT / "models").glob("*.tflite")):
            for file in (model, model.with_suffix(".md")):
                shutil.copy(file, new / "models")
        (new / SUMS).write_text(sums(new))
        if folder.exists():
            folder.rename(Path(work) / "old")
        new.rename(folder)
    print(f"{folder}: release {version}")
    print((folder / SUMS).read_text(), end="")


def main() -> int:
    """Release, or print in a line why not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "dist" / "release")
    try:
        release(parser.parse_args().folder.absolute())
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
