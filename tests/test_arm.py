"""python -m convert --verify-arm: what it needs is said before anything is spent on a training."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import run


@pytest.fixture
def path_without_mmdebstrap(tmp_path: Path) -> str:
    """A PATH on which all is found but mmdebstrap."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name != "mmdebstrap" and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return str(folder)


def test_a_missing_tool_is_named_before_any_training(
    tmp_path: Path, path_without_mmdebstrap: str
) -> None:
    out = tmp_path / "out"
    environment = os.environ | {"PATH": path_without_mmdebstrap}
    command = ("-m", "convert", str(tmp_path / "photos"), "-o", str(out), "--verify-arm")
    done = run(*command, env=environment)
    assert done.returncode == 1
    assert "mmdebstrap is not installed: apt-get install mmdebstrap" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("convert: --verify-arm: cannot be done here; ")
    assert "Traceback" not in done.stderr
    assert not out.exists()
