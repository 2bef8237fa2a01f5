"""The console scripts, and what lies in the current folder."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("target", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_names_a_function(target: str) -> None:
    module, _, name = target.partition(":")
    assert callable(getattr(import_module(module), name))


def test_convert_py_in_the_current_folder_does_not_shadow_edge_convert(tmp_path: Path) -> None:
    (tmp_path / "convert.py").write_text("print('not the product')\n")
    script = tmp_path / "bin" / "edge-convert"  # as pip writes it
    script.parent.mkdir()
    script.write_text(
        f"import sys\nsys.path.append({str(ROOT)!r})\n"
        "from convert.__main__ import main\nsys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and "PHOTOS" in done.stdout and "product" not in done.stdout
