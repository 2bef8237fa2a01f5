"""Each public function that the documentation shows has a sentence, and names its arguments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
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
        names = [key for key in inspect.signature(shown).parameters if key not in ("self", "cls")]
        absent = [key for key in names if not re.search(rf"\b{key}\b", text)]
        assert len(names) <= 1 or absent == [], "not named in the docstring"
