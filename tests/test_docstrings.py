"""Each public function that the documentation shows has a sentence, and names its arguments."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from typing import Any

import pytest
from conftest import ROOT

import convert
import edge

PAGE = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^::: ([\w.]+)$", PAGE, re.M)


def functions() -> Iterator[tuple[str, Any]]:
    """Yield what mkdocstrings shows: functions, classes and their public methods, by name."""
    for name in SHOWN:
        module, _, attribute = name.rpartition(".")
        shown = getattr(import_module(module), attribute)
        yield name, shown
        if inspect.isclass(shown):
            for key, member in vars(shown).items():
                if not key.startswith("_"):
                    inner = member.fget if isinstance(member, property) else member
                    inner = getattr(inner, "__func__", inner)
                    if inspect.isfunction(inner):
                        yield f"{name}.{key}", inner


ALL = dict(functions())
OPTIONS = inspect.Parameter.VAR_KEYWORD  # each is named, as its TypedDict has it


def test_the_page_shows_what_the_packages_export() -> None:
    exported = {f"{p.__name__}.{name}" for p in (edge, convert) for name in p.__all__}
    errors = {name for name in exported if name.endswith("Error")}
    assert exported - errors - set(SHOWN) - {"edge.__version__", "convert.__version__"} == set()


@pytest.mark.parametrize("name", ALL)
def test_it_has_a_sentence_and_its_arguments(name: str) -> None:
    shown = ALL[name]
    text = inspect.getdoc(shown) or ""
    first = text.split("\n\n")[0]
    assert len(first.split()) >= 2 and first.endswith((".", ":")), first
    if inspect.isfunction(shown):
        parameters = inspect.signature(shown).parameters
        names = [
            key
            for key, of in parameters.items()
            if key not in ("self", "cls") and of.kind != OPTIONS
        ]
        absent = [key for key in names if not re.search(rf"\b{key}\b", text)]
        assert len(names) <= 1 or absent == [], "not named in the docstring"


def test_each_argument_that_a_docstring_names_exists() -> None:
    wrong = []
    for path in chain(ROOT.glob("edge/**/*.py"), ROOT.glob("convert/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.args.kwarg:
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                names = {argument.arg for argument in (*arguments, node.args.vararg) if argument}
                _, _, section = (ast.get_docstring(node) or "").partition("\nArgs:\n")
                named = re.findall(r"^    (\w+):", section.split("\n\n")[0], re.M)
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                wrong += [f"{place}: {name}" for name in named if name not in names]
    assert wrong == []
