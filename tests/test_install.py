"""The package as it is installed: a wheel in empty environments, and a checkout with `pip -e`."""

from __future__ import annotations

import glob
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, USER_HOME, run

WORKSTATION_ONLY = {"tensorflow", "keras", "matplotlib"}
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".heic")
CARD = ROOT / "models" / "hotdog.json"
MOST_LOST = 0.005  # of the recorded accuracy: another runtime, another decoder
pytestmark = pytest.mark.network  # pip installs what the wheel needs

Install = Path  # a virtual environment's bin folder


def python_of(version: str) -> str | None:
    """A Python of this version, where there is one."""
    candidates = [
        shutil.which(f"python{version}"),
        *sorted(glob.glob(str(USER_HOME / f".pyenv/versions/{version}*/bin/python"))),
    ]
    for candidate in filter(None, candidates):
        # A shim of pyenv runs only with its version named.
        command = [candidate, "-c", "import sys; print(sys.executable)"]
        environment = os.environ | {"PYENV_VERSION": version}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode == 0:
            return done.stdout.strip()
    return None


def call(*command: str | Path, **options: object) -> str:
    """Run a command that must succeed, away from the checkout; return its stdout."""
    options = {"capture_output": True, "text": True, "timeout": 600} | options
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(word) for word in command], env=environment, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    done = run("-m", "pip", "wheel", "-q", *options)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Install]:
    """Give an environment by name: "3.11", "3.13" (the wheel alone), "editable"; made once."""
    made: dict[str, Install] = {}

    def install(name: str) -> Install:
        if name not in made:
            folder = tmp_path_factory.mktemp(f"env-{name}")
            made[name] = editable(folder) if name == "editable" else empty(folder, name, wheel)
        return made[name]

    return install


def empty(folder: Path, version: str, wheel: Path) -> Install:
    python = python_of(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    call(python, "-m", "venv", "--without-pip", folder, cwd=folder)
    call(*pip_of(folder), "install", "-q", "--no-compile", wheel, cwd=folder)
    return folder / "bin"


def editable(folder: Path) -> Install:
    """This Python's packages, and the checkout."""
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "workstation.pth").write_text("\n".join(here))
    options = ["-q", "--no-deps", "--no-build-isolation"]
    call(*pip_of(folder), "install", *options, "-e", ROOT, cwd=folder)
    return folder / "bin"


def pip_of(environment: Path) -> list[str | Path]:
    """This Python's pip, for an environment without one: to unpack it takes seconds."""
    return [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]


def test_the_wheel_has_the_models_and_neither_tests_nor_photos(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "edge/models/hotdog.tflite" in names
    assert "convert/pipeline.py" in names
    assert not [n for n in names if n.startswith("tests/") or "/tests/" in n]
    assert not [n for n in names if n.lower().endswith(PHOTOS)]
    assert not [n for n in names if "__pycache__" in n]


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_the_device_gets_a_runtime_and_nothing_of_the_workstation(
    installs: Callable[[str], Install], version: str
) -> None:
    listed = call(*pip_of(installs(version).parent), "list", "--format", "json")
    packages = {package["name"].lower() for package in json.loads(listed)}
    assert not packages & WORKSTATION_ONLY
    runtimes = {"ai-edge-litert", *(["tflite-runtime"] if version == "3.11" else [])}
    if platform.machine() != "x86_64" and version == "3.11":  # see pyproject.toml
        runtimes.remove("ai-edge-litert")
    assert packages & {"ai-edge-litert", "tflite-runtime"} == runtimes


@pytest.mark.parametrize("name", ["3.11", "3.13", "editable"])
def test_a_picture_is_all_that_edge_classify_needs(
    installs: Callable[[str], Install], name: str, tmp_path: Path
) -> None:
    picture = shutil.copy(ROOT / "tests" / "data" / "hotdog.jpg", tmp_path)
    said = call(installs(name) / "edge-classify", picture, cwd=tmp_path)
    assert said.split()[1] == "hotdog"


@pytest.mark.parametrize("name", ["3.11", "3.13"])
def test_the_shipped_model_is_as_accurate_as_recorded(
    installs: Callable[[str], Install], name: str, hotdog_photos: Path, tmp_path: Path
) -> None:
    command = [installs(name) / "edge-classify", "--format", "jsonl", "-r", hotdog_photos]
    rows = [json.loads(line) for line in call(*command, cwd=tmp_path).splitlines()]
    best = [(row["categories"][0]["label"], Path(row["source"]).parent.name) for row in rows]
    correct = sum(answer == label for answer, label in best)  # before the threshold
    variants = json.loads(CARD.read_text())["variants"]
    (recorded,) = [v["test_accuracy"] for v in variants if v["variant"] == "int8"]
    assert len(rows) == recorded["total"]
    assert correct / len(rows) >= recorded["accuracy"] - MOST_LOST
