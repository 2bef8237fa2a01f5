"""Which runtime is taken, and what is said where none can be.

An installation without a runtime is a folder of links to the other packages, on the path of a
Python that sees no site-packages.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run
from model_copies import changed

from edge.classifier.runtime import default_num_threads, installed_runtimes, open_interpreter
from edge.errors import ModelError, RuntimeMissingError

HOTDOG = ROOT / "tests" / "data" / "hotdog.jpg"
# A real numpy with another number: it stands for numpy 2, which is not installed here. What is
# tested is that the rule looks before tflite-runtime's C module is imported.
AS_NUMPY_2 = "import numpy; numpy.__version__ = '2.0.0'; "
CLASSIFY = "import sys; from edge.commands.classify import main; sys.exit(main(sys.argv[1:]))"


def installation(folder: Path, *packages: str) -> Path:
    """A folder on which only these packages, numpy, Pillow and edge are found."""
    for package in ("numpy", "PIL", *packages):
        (origin,) = importlib.util.find_spec(package).submodule_search_locations
        (folder / package).symlink_to(origin)
        for libraries in Path(origin).parent.glob(f"{package.lower()}.libs"):
            (folder / libraries.name).symlink_to(libraries)
    for libraries in Path(origin).parent.glob("pillow.libs"):
        (folder / libraries.name).symlink_to(libraries)
    (folder / "edge").symlink_to(ROOT / "edge")
    return folder


def python(folder: Path, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, cwd=folder, timeout=60
    )


def test_no_runtime_at_all_is_one_line(
    model_path: Path, photo_folder: Path, tmp_path: Path
) -> None:
    done = python(installation(tmp_path), CLASSIFY, "-m", model_path, photo_folder)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "ai-edge-litert is not installed, tflite-runtime is not installed; " in line
    assert "pip install 'ai-edge-litert" in line


def test_tflite_runtime_alone_is_taken(
    model_path: Path, photo_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tflite_runtime")
    folder = installation(tmp_path, "tflite_runtime")
    done = python(folder, CLASSIFY, "-m", model_path, "--format", "jsonl", photo_folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"runtime": "tflite-runtime 2.' in done.stdout


def test_tflite_runtime_beside_numpy_2_is_one_line(
    model_path: Path, photo_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tflite_runtime")
    folder = installation(tmp_path, "tflite_runtime")
    done = python(folder, AS_NUMPY_2 + CLASSIFY, "-m", model_path, photo_folder)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "tflite-runtime needs numpy below 2, and numpy 2.0.0 is installed" in line
    assert "pip install 'numpy<2'" in line


def test_a_broken_runtime_gives_way_to_the_other(
    model_path: Path, photo_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tflite_runtime")
    folder = installation(tmp_path, "tflite_runtime")
    (folder / "ai_edge_litert").mkdir()
    (folder / "ai_edge_litert" / "__init__.py").touch()
    done = python(folder, CLASSIFY, "-m", model_path, "--format", "jsonl", photo_folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"runtime": "tflite-runtime' in done.stdout


def test_a_runtime_whose_library_is_missing_names_the_library_s_package(
    model_path: Path, photo_folder: Path, tmp_path: Path
) -> None:
    folder = installation(tmp_path)
    (folder / "ai_edge_litert").mkdir()
    (folder / "ai_edge_litert" / "__init__.py").touch()
    fault = "libatomic.so.1: cannot open shared object file: No such file or directory"
    code = f"raise ImportError({fault!r})\n"
    (folder / "ai_edge_litert" / "interpreter.py").write_text(code)
    command = (CLASSIFY, "-m", model_path, "--runtime", "litert", photo_folder)
    done = python(folder, *command)
    assert done.returncode == 1
    assert f"cannot be imported ({fault}); sudo apt install libatomic1" in done.stderr


@pytest.mark.parametrize(
    ("options", "loaded"),
    [(None, set()), ([], {"ai_edge_litert"}), (["--runtime", "tflite"], {"tflite_runtime"})],
)
def test_a_light_import_loads_no_runtime_and_a_command_loads_one(
    options: list[str] | None, loaded: set[str], tmp_path: Path
) -> None:
    if len(installed_runtimes()) < 2:
        pytest.skip("only one runtime is installed")
    code = "import sys, edge; from edge.commands.classify import main; "
    if options is not None:
        code += f"assert main([*{options!r}, {str(HOTDOG)!r}]) == 0; "
    code += "print(*{name.partition('.')[0] for name in sys.modules})"
    done = run("-c", code, env=dict(os.environ, HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.splitlines()[-1].split())
    assert modules & {"ai_edge_litert", "tflite_runtime"} == loaded


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(RuntimeMissingError, match="Received: torch"):
        open_interpreter(b"", "m.tflite", runtime="torch", num_threads=1, verbose=False)


def test_what_the_runtime_refuses_is_a_model_error() -> None:
    with pytest.raises(ModelError, match=r"m\.tflite: .* cannot load it"):
        open_interpreter(b"nothing", "m.tflite", runtime="auto", num_threads=1, verbose=False)


def test_a_runtime_is_installed_here_and_uses_at_most_four_threads() -> None:
    assert installed_runtimes()
    assert 1 <= default_num_threads() <= 4


@pytest.mark.parametrize(
    "customs, line",
    [
        (
            ("edgetpu-custom-op",),
            "m.tflite: is compiled for an Edge TPU; use the file that it was compiled from",
        ),
        (
            ("FlexDecodeJpeg", "FlexErf"),
            "m.tflite: needs TensorFlow's select operators (DecodeJpeg, Erf); convert it again "
            "with TFLITE_BUILTINS only",
        ),
    ],
)
def test_operators_that_no_plain_runtime_has_are_one_line_each(
    customs: tuple[str, ...], line: str
) -> None:
    with pytest.raises(ModelError) as caught:
        open_interpreter(
            b"", "m.tflite", runtime="auto", num_threads=1, verbose=False, customs=customs
        )
    assert str(caught.value) == line


def test_a_model_that_is_too_new_names_the_package_that_runs_it(tmp_path: Path) -> None:
    def newer(model: Any) -> None:
        for code in model.operatorCodes:
            code.version = 99

    (tmp_path / "new.tflite").write_bytes(changed(newer))
    remedies = {"tflite": "pip install 'ai-edge-litert>=2.1'", "litert": "pip install -U ai-edge"}
    for runtime in installed_runtimes():
        done = run(
            "-m", "edge", "classify", "--runtime", runtime, "-m", tmp_path / "new.tflite", HOTDOG
        )
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert "is too old for it (" in line and "version 99)" in line
        assert remedies[runtime] in line


def test_a_runtimes_own_words_are_one_sentence(tmp_path: Path) -> None:
    def unknown(model: Any) -> None:
        for code in model.operatorCodes:
            code.builtinCode, code.customCode = 32, b"Mystery"

    (tmp_path / "odd.tflite").write_bytes(changed(unknown))
    done = run("-m", "edge", "classify", "-m", tmp_path / "odd.tflite", HOTDOG)
    (line,) = done.stderr.splitlines()
    assert "needs the custom operator Mystery" in line
    assert len(line) < 300
