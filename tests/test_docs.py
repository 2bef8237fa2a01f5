"""Every console block of README and docs runs here and prints what the page shows, or has a reason.

A block of ```console holds commands after `$ ` and their standard output, in which `...` stands for
what varies. Blocks of one page run in one fresh folder, in their order. What cannot run here comes
after <!-- not run: REASON -->, in a block of any language.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT
from videos import write_video

from edge.doctor.checks import CHECKS
from edge.service.configuration import build, read
from edge.service.web.handlers import ROUTES

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^\n]+) -->\n+)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
NO_COMMANDS = {"text", "toml", "python", "nginx", "caddy", "json", "yaml", "dockerfile"}
MATCH = doctest.OutputChecker()


class Block(NamedTuple):
    """A block of commands."""

    page: Path
    line: int
    text: str
    why: str  # it does not run here; "" if it does


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of commands of a page."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        if match["kind"] not in NO_COMMANDS:
            yield Block(page, line, match["text"], match["why"] or "")


ALL = [block for page in PAGES for block in blocks(page)]
RUN = sorted({block.page for block in ALL if not block.why})


@pytest.mark.parametrize("block", ALL, ids=lambda block: f"{block.page.name}:{block.line}")
def test_a_block_runs_or_says_why_not(block: Block) -> None:
    if not block.why:
        assert block.text.startswith("$ "), (
            "```console with '$ ' and the output, or <!-- not run -->"
        )


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a block with the output that the page shows."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, _, shown = part.partition("\n")
        while command.endswith("\\"):
            more, _, shown = shown.partition("\n")
            command = f"{command}\n{more}"
        yield command, shown


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_print_what_it_shows(
    page: Path, drawn: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    there = [block for block in blocks(page) if not block.why]
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    (tmp_path / "models").symlink_to(ROOT / "models")
    shutil.copytree(ROOT / "tests" / "data", tmp_path / "tests" / "data")
    shutil.copytree(drawn, tmp_path / "PHOTOS")
    text = "".join(block.text for block in there)
    if "OUT/" in text:
        (tmp_path / "OUT").symlink_to(request.getfixturevalue("converted"))
    if " float.tflite" in text:  # of another maker
        foreign = request.getfixturevalue("classifiers") / "softmax.tflite"
        (tmp_path / "float.tflite").symlink_to(foreign)
        (tmp_path / "labels.txt").write_text("cup\nfish\nkey\n")
    if "DCIM/" in text:
        (tmp_path / "DCIM").mkdir()
        shutil.copy(ROOT / "tests" / "data" / "hotdog.jpg", tmp_path / "DCIM" / "IMG_0001.jpg")
        for path in ("DCIM/IMG_0002.mp4", "clip.mp4"):
            write_video(tmp_path / path, seconds=4)
    path = f"{tmp_path / '.venv' / 'bin'}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "90"}
    for block in there:
        for command, shown in commands(block):
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True
            )
            at = f"{page.name}:{block.line}: {command}"
            assert done.returncode == 0, f"{at}: exit status {done.returncode}\n{done.stderr}"
            same = MATCH.check_output(shown, done.stdout, doctest.ELLIPSIS)
            assert same, f"{at}\n--- the page shows\n{shown}--- it prints\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_toml_block_is_a_configuration(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(re.findall(r"(?ms)^```toml\n(.*?)^```", page.read_text())):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        build(read(path))


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def test_the_paths_of_the_live_page_are_documented() -> None:
    page = (ROOT / "docs" / "live-page.md").read_text()
    paths = [pattern.replace("\\", "") for pattern, _ in ROUTES if "(" not in pattern]
    assert [path for path in paths if path not in page] == []


def test_the_checks_of_the_doctor_are_documented() -> None:
    rows = re.findall(r"(?m)^\| ([a-z0-9 ,]+) \| ", (ROOT / "docs" / "doctor.md").read_text())
    assert [name for row in rows[1:] for name in row.split(", ")] == list(CHECKS)
