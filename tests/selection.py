"""Which tests need TensorFlow, and which are of `convert`: so that no one has to mark them."""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
TENSORFLOW = {"tensorflow", "keras"}


@functools.cache
def is_of_convert(module: Path) -> bool:
    """Whether a test module is called as one of `convert` is, and none of `edge`."""
    name = module.name.removeprefix("test_")
    return [root for root in ("edge", "convert") if any((ROOT / root).rglob(name))] == ["convert"]


@functools.cache
def needs_tensorflow(module: Path) -> bool:
    """Whether a test module, or what it imports and runs, imports TensorFlow anywhere."""
    seen: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path in seen or path.name == "conftest.py":  # whose fixtures are told by their names
            continue
        seen.add(path)
        for name in _names(path):
            if name.split(".")[0] in TENSORFLOW:
                return True
            waiting += _files(name)
    return False


@functools.cache
def _names(path: Path) -> tuple[str, ...]:
    """What a file imports or runs, at whatever depth: dotted names, and programs' file names."""
    return tuple(name for node in ast.walk(ast.parse(path.read_text())) for name in _named(node))


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and str(node.value).endswith(".py"):
        yield str(node.value)
    elif isinstance(node, (ast.Call, ast.List, ast.Tuple)):
        words = node.args if isinstance(node, ast.Call) else node.elts
        for option, word in itertools.pairwise(words):
            if [getattr(option, "value", None), type(word)] == ["-m", ast.Constant]:
                yield str(word.value)


@functools.cache
def _files(name: str) -> list[Path]:
    """The files of this project that a name means."""
    if name.endswith(".py"):
        places = [TESTS / "programs" / name]
        if name.startswith(("benchmarks/", "tests/")):
            places.append(ROOT / name)
        return [path for path in places if path.is_file()]
    parts = name.split(".")
    places = [
        root.joinpath(*parts[:count])
        for count in (len(parts), len(parts) - 1)
        if count
        for root in (ROOT, TESTS)
    ]
    found = [path for place in places for path in (place.with_suffix(".py"), place / "__init__.py")]
    found += [place / "__main__.py" for place in places if len(parts) == 1]
    return [path for path in found if path.is_file()]
