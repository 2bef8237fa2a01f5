"""The layers: imports in edge go up only, and each third party has one room."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import ROOT, run

# Lowest first; a module imports from lower layers only, never from its own.
LAYERS = (
    {"errors", "tensor", "cores"},
    {"framing"},
    {"decode"},
    {"preprocess", "flatbuffer", "labels", "notify", "board", "files", "pace"},
    {"tuned", "golden", "metadata", "outputs", "runtime", "camera_format", "camera_faults"},
    {"inputs"},
    {"model", "photos"},
    {"classify", "camera", "replay", "trial", "ahead", "threads"},
    {"known", "steady", "reload"},
    {"watch", "benchmark", "doctor", "vitals"},
    {"sinks"},
    {"delivery", "web", "mqtt"},
    {"configuration"},
    {"commands", "__main__"},
)
PACKAGES = {"benchmark", "commands", "doctor", "mqtt", "sinks", "web"}  # modules know one another
ROOMS = {
    "PIL": {"decode", "preprocess"},
    "pillow_heif": {"decode"},
    "picamera2": {"camera"},
    "libcamera": {"camera"},
    "ai_edge_litert": {"runtime"},
    "tflite_runtime": {"runtime"},
    "tornado": {"web"},
    "prometheus_client": {"web"},
    "paho": {"mqtt"},
    "flatbuffers": set(),  # edge.flatbuffer reads them without
}
BANNED = ("tensorflow", "keras", "matplotlib", "convert")

FILES = sorted((ROOT / "edge").rglob("*.py"))
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in FILES
]
EACH = list(zip(FILES, MODULES, strict=True))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at whatever depth, by its full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(module: str) -> str:
    """edge.sinks.web -> sinks; edge -> the empty string."""
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("path, module", EACH, ids=MODULES)
def test_imports_go_up_only(path: Path, module: str) -> None:
    layer = {name: height for height, names in enumerate(LAYERS) for name in names}
    if module == "edge":
        assert not [name for name in imported(path) if name.startswith("edge")]
        return
    assert room(module) in layer, f"give {module} a layer"
    for name in imported(path):
        lower = room(name)
        if name.split(".")[0] != "edge" or lower == "__version__":
            continue
        inside = lower == room(module) and lower in PACKAGES
        assert inside or layer[lower] < layer[room(module)], f"{module} imports {name}"


def test_there_is_no_cycle() -> None:
    imports = {
        module: {m for name in imported(path) for m in MODULES if name == m or below(name, m)}
        - {module, "edge"}
        for path, module in EACH
    }
    while free := [module for module, others in imports.items() if not others & imports.keys()]:
        for module in free:
            del imports[module]
    assert not imports


def below(name: str, module: str) -> bool:
    """Whether a name lies in the module itself, and in none of its submodules."""
    return name.rpartition(".")[0] == module and name not in MODULES


@pytest.mark.parametrize("path, module", EACH, ids=MODULES)
def test_third_parties_have_one_room_each(path: Path, module: str) -> None:
    for name in imported(path):
        package = name.split(".")[0]
        assert package not in BANNED, f"{module} imports {name}"
        assert room(module) in ROOMS.get(package, {room(module)}), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_a_fresh_process_loads_no_workstation(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert not set(BANNED) & set(done.stdout.split())
