"""Every command that README and docs name, in text, tables and blocks that do not run, is accepted.

The real parsers read its options; of a script, a make target or a benchmark, its text must have
them. Words such as PHOTOS stand for files. What a command lacks to be run may be missing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT
from test_docs import PAGES, blocks

from convert.steps.command_line import STEPS, parser_of
from edge.commands import classify, doctor, watch
from edge.commands.benchmark.options import read_options

SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
VARIABLE = re.compile(r"\$\(\([^)]*\)\)|\$[A-Z_]+")
ENDS = {"|", "||", "&&", ";", ">", "2>&1", "#", "<"}
PREFIX = re.compile(
    r"^(?:\$ )?(?:sudo )?(?:[A-Z_]+=\S+ )*(?:\S*/)?"
    r"(?=edge-|python|install\.sh|push\.sh|uninstall\.sh|make )"
)
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)


class Named(NamedTuple):
    """A command that a page names."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def texts(page: Path) -> Iterator[str]:
    """Yield the code between backticks, and the lines of blocks that do not run."""
    text = page.read_text()
    yield from SPAN.findall(re.sub(r"(?ms)^```.*?^```$", "", text))
    for block in blocks(page):
        if block.why:
            yield from block.text.replace("\\\n", " ").splitlines()


def named(page: Path) -> Iterator[Named]:
    """Yield the commands of a page."""
    for text in texts(page):
        text = VARIABLE.sub("1", text)
        for part in re.split(r" (?:&&|\|) ", text):
            if not (match := PREFIX.match(part)):
                continue
            words = shlex.split(part[match.end() :])
            end = next((n for n, word in enumerate(words) if word in ENDS or word == "..."), None)
            yield Named(page.name, tuple(words[:end]))


def rejected(
    read: Callable[[Sequence[str]], object],
    words: Sequence[str],
    capsys: pytest.CaptureFixture[str],
) -> str:
    """Return why a parser rejects words; "" if it takes them, or if only a path is missing."""
    try:
        read(list(words))
    except SystemExit as end:
        said = capsys.readouterr().err
        return "" if not end.code or "required" in said or "expected one" in said else said
    return ""


READERS: dict[str, Callable[[Sequence[str]], object]] = {
    "edge-classify": classify._parse,
    "edge-watch": lambda words: watch._parser().parse_args(words),
    "edge-benchmark": lambda words: read_options(list(words)),
    "edge-doctor": lambda words: doctor._parser().parse_args(words),
}


def fault(command: Named, capsys: pytest.CaptureFixture[str]) -> str:
    """Return why a command cannot be what the page means; "" if it can."""
    first, *words = command.words
    if first in READERS:
        return rejected(READERS[first], words, capsys)
    if first.startswith("python") and words[:2] == ["-m", "convert"]:
        step = words[2] if len(words) > 2 and words[2] in STEPS else ""
        return rejected(parser_of(step).parse_args, words[3 if step else 2 :], capsys)
    if first == "make":
        return "" if set(words) - {w for w in words if "=" in w} <= set(TARGETS) else "no target"
    if first.endswith(".sh"):
        scripts = " ".join(path.read_text() for path in (ROOT / "deploy").glob("*.sh"))
        return next((f"no {w}" for w in words if w.startswith("--") and w not in scripts), "")
    if words and words[0].startswith("benchmarks/"):  # some pass options on to convert
        text = (ROOT / words[0]).read_text() + (ROOT / "convert/steps/arguments.py").read_text()
        return next((f"no {w}" for w in words if w.startswith("--") and w[2:] not in text), "")
    return ""


COMMANDS = sorted({command for page in PAGES for command in named(page) if command.words})


def test_there_are_many() -> None:
    assert len(COMMANDS) > 100


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_that_a_page_names_is_accepted(
    command: Named, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fault(command, capsys) == ""
