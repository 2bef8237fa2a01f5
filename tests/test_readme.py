"""The README's programs run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run

PROGRAMS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)


def test_there_is_one() -> None:
    assert PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_readme_runs(program: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("dinner.jpg", "photos/lunch.jpg"):
        shutil.copy(ROOT / "tests" / "data" / "hotdog.jpg", tmp_path / name)
    done = run("-c", program, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "hotdog" in done.stdout
