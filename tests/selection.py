"""Which tests need TensorFlow or start processes, and which are of `convert`: nobody marks them."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
TENSORFLOW = {"tensorflow", "keras"}
# What starts a program, by the names that it has where it is used; sleep is a wait for one.
PROCESSES = {"subprocess", "multiprocessing", "fork", "playwright", "sync_playwright"}
MEASURING = ("edge.benchmark", "edge.commands.benchmark")


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


def starts_processes(*functions: object) -> bool:
    """Whether a test, given with its fixtures, starts programs, itself or by what it calls here.

    edge-benchmark counts, which measures in processes. Others that `edge` starts as it is called,
    such as a model's validation, do not: they take a moment.
    """
    seen: set[object] = set()
    waiting = list(functions)
    while waiting:
        used = inspect.unwrap(waiting.pop())
        if not isinstance(used, (type, FunctionType)) or used in seen or not _is_followed(used):
            continue
        seen.add(used)
        if isinstance(used, type):
            waiting += vars(used).values()
            continue
        names = _names_of_code(used.__code__)
        if PROCESSES & names:
            return True
        waiting += _objects(used.__globals__, names)
    return False


def _is_followed(used: type | FunctionType) -> bool:
    if used.__module__.startswith(MEASURING):
        return True
    path = getattr(sys.modules.get(used.__module__), "__file__", None)
    return path is not None and Path(path).parent == TESTS


def _names_of_code(code: CodeType) -> set[str]:
    """The names that a function uses, with those of the functions within it."""
    inner = [value for value in code.co_consts if isinstance(value, CodeType)]
    return set(code.co_names).union(*map(_names_of_code, inner))


def _objects(namespace: dict[str, object], names: set[str]) -> list[object]:
    """What of a module's own and its imports the names mean; also through an imported module."""
    own = [namespace[name] for name in names if name in namespace]
    modules = [vars(value) for value in own if isinstance(value, ModuleType)]
    return own + [module[name] for module in modules for name in names if name in module]
