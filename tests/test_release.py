"""A release is built when all agree, twice the same, and rejected in a line when they do not."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from edge import __version__

AUTHOR = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.com")

pytestmark = pytest.mark.skipif(
    not shutil.which("git") or not (ROOT / ".git").exists(), reason="needs a git checkout"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone whose changelog has a date and whose commit has the tag."""
    root = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", "--no-tags", str(ROOT), str(root)], check=True)
    # As they are here, committed or not.
    for name in ("deploy/release.py", "deploy/metadata.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    changelog = root / "CHANGELOG.md"
    date = rf"## [{__version__}] - 2026-01-02"
    text = re.sub(rf"^## \[{re.escape(__version__)}\].*$", date, changelog.read_text(), flags=re.M)
    changelog.write_text(text)
    commit(root)
    git(root, "tag", f"v{__version__}")
    return root


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *AUTHOR, *words], cwd=root, check=True, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "Change something")


def release(
    root: Path, folder: Path, address: str = "https://code.example.org/us/edge-classify"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "deploy" / "release.py", folder]
    environment = os.environ | {"REPOSITORY_URL": address}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )


def test_a_release_holds_packages_models_and_the_sums_of_all(checkout: Path) -> None:
    folder = checkout.parent / "out" / "release"
    done = release(checkout, folder)
    assert (done.returncode, done.stderr) == (0, "")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    models = {f"models/{path.name}" for path in (ROOT / "models").glob("hotdog*")}
    assert files == {
        f"edge_classify-{__version__}-py3-none-any.whl",
        f"edge_classify-{__version__}.tar.gz",
        "SHA256SUMS",
        *(name for name in models if name.endswith((".tflite", ".md"))),
    }
    listed = dict(
        reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    assert set(listed) == files - {"SHA256SUMS"}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        metadata = wheel.read(f"edge_classify-{__version__}.dist-info/METADATA").decode()
    assert "Project-URL: Repository, https://code.example.org/us/edge-classify\n" in metadata
    assert "Project-URL: Issues, https://code.example.org/us/edge-classify/issues\n" in metadata
    assert release(checkout, folder).returncode == 0  # over the last one
    again = (folder / "SHA256SUMS").read_text()
    assert dict(reversed(line.split("  ")) for line in again.splitlines()) == listed
    assert [path.name for path in folder.parent.iterdir()] == ["release"]


def _undate(root: Path) -> None:
    changelog = root / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("2026-01-02", "unreleased"))
    commit(root)


def _raise_version(root: Path) -> None:
    package = root / "edge" / "__init__.py"
    package.write_text(package.read_text().replace(__version__, "99.0.0"))
    commit(root)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no-date": (_undate, f"CHANGELOG.md: {__version__} must have its date"),
    "version": (_raise_version, "CHANGELOG.md: its newest version must be 99.0.0"),
    "no-tag": (commit, f"this commit must have the tag v{__version__}"),
    "changed": (lambda root: (root / "LICENSE").write_text("mine"), "LICENSE: is not committed"),
    "new": (lambda root: (root / "edge" / "new.py").touch(), "edge/new.py: is not committed"),
}


@pytest.mark.parametrize("address", ["", "code.example.org/us", "https://code.example.org"])
def test_a_release_without_an_address_is_rejected_in_a_line(checkout: Path, address: str) -> None:
    done = release(checkout, checkout.parent / "release", address)
    assert done.returncode == 1
    assert done.stderr.startswith("release: REPOSITORY_URL must be the repository's address")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("why", REFUSED)
def test_what_disagrees_is_refused_in_a_line(checkout: Path, why: str) -> None:
    spoil, said = REFUSED[why]
    spoil(checkout)
    folder = checkout.parent / "release"
    done = release(checkout, folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"release: {said}")
    assert done.stderr.count("\n") == 1
    assert not folder.exists()
