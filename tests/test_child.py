"""Nothing of the current folder is run: no json.py, no random.py, whatever lies there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, uncovered
from model_copies import relabelled

from edge import child

# What the standard library, numpy and this project import by these names.
NAMES = ("json", "random", "edge", "tempfile", "numpy", "statistics", "glob", "socket", "tomllib")
PICTURE = Path(__file__).parent / "data" / "hotdog.jpg"


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder with an image, a model that must be tried, and modules that say they were run."""
    for name in NAMES:
        code = f"import os; os.close(os.open('{tmp_path}/ran-{name}', os.O_CREAT)); os._exit(9)"
        (tmp_path / f"{name}.py").write_text(code)
    shutil.copy(PICTURE, tmp_path / "picture.jpg")
    (tmp_path / "model.tflite").write_bytes(relabelled(["a", "b"]))
    return tmp_path


def run_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command there, as after an installation: edge is found without the current folder."""
    site = [path for path in sys.path if path and "site-packages" in path]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *site]),
        "XDG_CACHE_HOME": str(folder / "cache"),  # no model is known to be sound
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200
    )
    assert sorted(folder.glob("ran-*")) == []
    return done


SCRIPT = "import sys; from edge.commands.{} import main; sys.exit(main())"
OPTIONS = {
    "classify": ["-m", "model.tflite", "picture.jpg"],
    "watch": ["--check", "-m", "model.tflite"],
    "benchmark": ["model.tflite", "--num-runs", "5", "--format", "json"],
    "doctor": ["-m", "model.tflite", "--format", "json"],
}


def test_the_traps_are_ones(trapped: Path) -> None:
    code = [sys.executable, "-c", "import json"]
    done = subprocess.run(code, cwd=trapped, timeout=60, env=uncovered())
    assert done.returncode == 9
    assert (trapped / "ran-json").exists()


@pytest.mark.parametrize("command", OPTIONS)
def test_commands_and_what_they_start_run_nothing_of_the_folder(
    trapped: Path, command: str
) -> None:
    (trapped / "edge.py").unlink()  # `python -m edge` means the one that is here
    done = run_in(trapped, sys.executable, "-m", "edge", command, *OPTIONS[command])
    assert done.returncode == 0 or command == "doctor", done.stderr
    if command == "doctor":
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        assert checks["model"]["status"] != "fault", checks["model"]


@pytest.mark.parametrize("command", ["watch", "doctor"])
def test_installed_commands_do_not_run_a_checkout_beside_them(trapped: Path, command: str) -> None:
    script = trapped / "bin" / f"edge-{command}"
    script.parent.mkdir()
    script.write_text(SCRIPT.format(command))
    done = run_in(trapped, sys.executable, str(script), *OPTIONS[command])
    assert done.returncode == 0 or command == "doctor", done.stderr
    assert "crash" not in done.stdout


def test_a_child_imports_what_its_parent_does() -> None:
    code = "import sys, edge; print(edge.__file__); print(sys.flags.safe_path)"
    command, environment = child.python("-c", code), child.environment()
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [str(ROOT / "edge" / "__init__.py"), "True"]


def test_a_current_folder_that_was_removed_is_no_traceback(tmp_path: Path) -> None:
    script = f'cd "$0" && rmdir "$0" && exec {sys.executable} -m edge --help'
    done = subprocess.run(
        ["sh", "-c", script, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
