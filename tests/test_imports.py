"""The wings: imports go up only, no cycle, and each third party has one room."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from conftest import ROOT, run

# Lowest first. A module imports from its own wing and lower ones. A file beside the wings, such
# as edge/errors.py, is a wing of its own; those on the ground floor are one.
WINGS = {
    "edge": (
        {"errors", "names", "interval", "files", "cores", "board", "child"},
        {"image"},
        {"sources"},
        {"classifier"},
        {"service"},
        {"benchmark"},
        {"doctor"},
        {"commands"},
        {"__main__"},
    ),
    "convert": (
        {"errors", "files", "names", "options"},
        {"data"},
        {"measure"},
        {"training"},
        {"job"},
        {"report"},
        {"fit"},
        {"tflite"},
        {"pipeline"},
        {"steps"},
        {"__main__"},
        {"demo"},
    ),
}
# Which modules, or wings, may import a third party. ANY is an import by a name that is computed.
ANY = "any"
ROOMS = {
    "PIL": {"edge.image"},
    "pillow_heif": {"edge.image"},
    "picamera2": {"edge.sources.picamera"},
    "av": {"edge.sources.video.decoder", "edge.sources.video.opening"},
    "libcamera": {"edge.sources.picamera"},
    "matplotlib": {"edge.benchmark.plot"},
    # The check of a configuration sees that it is installed.
    "astral": {"edge.service.intake.schedule", "edge.commands.watch_check"},
    "ai_edge_litert": {"edge.classifier.runtime"},
    "tflite_runtime": {"edge.classifier.runtime"},
    "tornado": {"edge.service.web"},
    "prometheus_client": {"edge.service.web"},
    "paho": {"edge.service.mqtt"},
    "apprise": {"edge.service.sinks.notify"},
    "gpiozero": {"edge.service.sinks.pin"},
    ANY: {
        *("edge.__main__", "edge.names"),  # modules of edge
        *("edge.image.formats", "edge.image.opening"),  # Pillow's plugins
        *("edge.classifier.runtime", "edge.benchmark.cold"),  # runtimes
    },
}
BANNED = ("tensorflow", "keras", "flatbuffers", "convert")  # in edge
MAX_ENTRIES = 16  # modules that one must choose from in a folder

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in WINGS
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imported(path: Path) -> set[str]:
    """Every name that a file imports, at whatever depth, in full."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and name_of(node.func) == "import_module":
            (name,) = node.args
            found |= {name.value if isinstance(name, ast.Constant) else ANY}
    return found


def name_of(function: ast.expr) -> str:
    """importlib.import_module -> import_module."""
    return getattr(function, "attr", "") or getattr(function, "id", "")


IMPORTS = {module: imported(path) for module, path in FILES.items()}


def wing(name: str) -> str:
    """edge.service.web -> service; edge -> the empty string."""
    return [*name.split("."), ""][1]


def upward(module: str) -> list[str]:
    """What a module imports from a higher wing, or from one beside its own."""
    package = module.split(".")[0]
    height = {name: i for i, names in enumerate(WINGS[package]) for name in names}
    if module == package:  # its public names are imported when they are first used
        return []
    assert wing(module) in height, f"give {module} a wing"
    return [
        f"{module} imports {name}"
        for name in sorted(IMPORTS[module])
        if name.split(".")[0] == package
        and wing(name) in height  # not package.__version__
        and wing(name) != wing(module)
        and height[wing(name)] >= max(height[wing(module)], 1)
    ]


def test_imports_go_up_only() -> None:
    assert [fault for module in FILES for fault in upward(module)] == []


def test_there_is_no_cycle() -> None:
    graph = {module: {owner(name) for name in names} for module, names in IMPORTS.items()}
    try:
        TopologicalSorter(
            {module: others - {module, ""} for module, others in graph.items()}
        ).prepare()
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None


def owner(name: str) -> str:
    """The module that a full name lies in; empty for a third party's and a package's own name."""
    found = name if name in FILES else name.rpartition(".")[0]
    return found if found in FILES and "." in found else ""


def test_third_parties_have_one_room_each() -> None:
    faults = []
    for module, names in IMPORTS.items():
        for name in names:
            third = name.split(".")[0]
            rooms = ROOMS.get(third, {module})
            outside = not any(module == place or module.startswith(f"{place}.") for place in rooms)
            if module.startswith("edge") and (outside or third in BANNED):
                faults.append(f"{module} imports {name}")
    assert faults == []


def test_no_folder_is_too_full_to_choose_from() -> None:
    folders = {path.parent for path in FILES.values()}
    entries = {
        folder.relative_to(ROOT).as_posix(): len(
            [p for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
        )
        for folder in folders
    }
    assert {name: count for name, count in entries.items() if count > MAX_ENTRIES} == {}


def test_a_device_loads_no_workstation() -> None:
    modules = ", ".join(name for name in FILES if name.split(".")[0] == "edge")
    done = run("-c", f"import sys, {modules}; print(*{{m.split('.')[0] for m in sys.modules}})")
    assert done.returncode == 0, done.stderr
    assert {*BANNED, "matplotlib"} & set(done.stdout.split()) == set()


def test_each_file_has_a_wing_that_exists() -> None:
    for package, wings in WINGS.items():
        names = {wing(module) for module in FILES if module.split(".")[0] == package} - {""}
        assert names == set().union(*wings)


def test_the_architecture_names_every_wing_and_folder_in_the_order_of_the_imports() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    for package, wings in WINGS.items():
        height = {name: i for i, names in enumerate(wings) for name in names}
        table = page.partition(f"| `{package}/` | what happens there |")[2].partition("\n\n")[0]
        named = [
            [wing(f"{package}.{name}") for name in re.findall(r"`([\w/]+?)(?:/|\.py)`", first)]
            for first in re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
        ]
        order = [name.partition("/")[0] for row in named for name in row]
        assert [height[name] for name in order] == sorted(height[name] for name in order)
        assert set(order) >= set().union(*wings[1:]) - {"__main__"}
        folders = {
            path.parent.name for path in FILES.values() if path.is_relative_to(ROOT / package)
        }
        assert {name for name in folders - {package} if f"{name}/`" not in table} == set()
