"""edge-classify on a terminal: colour, alignment, and a bar that tears no line."""

from __future__ import annotations

import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest
from conftest import ROOT
from model_copies import SMALL

from edge.commands.progress import progress_line
from edge.commands.terminal import width_of

HOTDOG = ROOT / "tests" / "data" / "hotdog.jpg"
CLASSIFY = (sys.executable, "-m", "edge", "classify", "-m", str(SMALL))
COLUMNS = 72
PICTURES = 1200  # more than any machine classifies before the bar is due


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Many times the same image, and a bad one."""
    shutil.copy(HOTDOG, tmp_path / "0.jpg")
    for number in range(1, PICTURES):
        (tmp_path / f"{number}.jpg").symlink_to(tmp_path / "0.jpg")
    (tmp_path / "150.jpg").unlink()
    (tmp_path / "150.jpg").write_bytes(b"bad")
    return tmp_path


def on_terminal(*arguments: object, stdout: object = None, **environment: str) -> str:
    """Run edge-classify on a terminal, and return what it got; stdout may go elsewhere."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    words = [*CLASSIFY, *map(str, arguments)]
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        stdin=theirs,
        stdout=stdout or theirs,
        stderr=theirs,
        env=kept | {"TERM": "xterm"} | environment,
    )
    os.close(theirs)
    said = b"".join(_pieces(ours))
    os.close(ours)
    assert process.wait(60) in (0, 1)
    return said.decode().replace("\r\n", "\n")


def _pieces(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that no one is there any more
            return
        if not piece:
            return
        yield piece


def shown(said: str) -> list[str]:
    """What stays on the screen: a return begins the line anew, and ESC [ K clears it."""
    lines = []
    for line in said.split("\n"):
        text = ""
        for part in line.split("\r"):
            cleared = part.endswith("\x1b[K")
            part = part.removesuffix("\x1b[K")
            text = part if cleared or part.startswith("\x1b[K") else part + text[len(part) :]
            text = text.removeprefix("\x1b[K")
        lines.append(text)
    return lines


def test_colour_is_for_terminals_whose_owner_does_not_mind() -> None:
    assert "\x1b[1mhotdog\x1b[0m 0.9" in on_terminal(HOTDOG)
    assert "\x1b[33munknown\x1b[0m 0.9" in on_terminal("-t", 1, HOTDOG)
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(HOTDOG, **plain)


def test_the_bar_comes_and_goes_and_tears_no_line(folder: Path) -> None:
    said = on_terminal(folder, NO_COLOR="1")
    assert re.search(rf"\r\d+ of {PICTURES} \[#+ *\] \d+\.\d a second, 0:\d\d left\x1b\[K", said)
    lines = [line for line in shown(said) if line]
    assert len(lines) == PICTURES
    bad = [line for line in lines if "/150.jpg" in line]
    assert len(bad) == 1
    assert bad[0].startswith(f"edge-classify: {folder}/150.jpg: is not an image")
    good = [line for line in lines if line not in bad]
    assert all(re.fullmatch(rf"{folder}/\d+\.jpg *  hotdog    0\.\d\d\d", line) for line in good)
    assert len({line.index(" 0.") for line in good}) == 1
    assert "a second" not in "".join(lines)


def test_the_bar_is_no_wider_than_the_terminal_and_goes_when_all_is_done(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers"
    with out.open("w") as stdout:
        said = on_terminal(folder, "--format", "jsonl", stdout=stdout)
    assert len(out.read_text().splitlines()) == PICTURES
    bars = re.findall(r"\r([^\r\n]*)\x1b\[K", said)
    assert 1 < len(bars) < PICTURES / 2  # not one an image
    assert max(map(len, bars)) < COLUMNS
    assert [line for line in shown(said) if line][1:] == []  # only the bad one is told


def test_a_few_pictures_show_no_bar() -> None:
    assert "\x1b" not in on_terminal(*[HOTDOG] * 3, NO_COLOR="1")


@pytest.mark.parametrize(
    ("done", "total", "seconds", "line"),
    [
        (50, 200, 10.0, "50 of 200 [#####               ] 5.0 a second, 0:30 left"),
        (1, 40_000, 1.0, "1 of 40000 [                    ] 1.0 a second, 11:06:39 left"),
        (7, None, 2.0, "7 images, 3.5 a second"),
        (9, 8, 3.0, "9 images, 3.0 a second"),
    ],
)
def test_progress_says_how_far_it_is(
    done: int, total: int | None, seconds: float, line: str
) -> None:
    assert progress_line(done, total, seconds) == line


def test_wide_letters_take_two_columns() -> None:
    assert width_of("钥匙.jpg") == 8
    assert width_of("e\u0301") == 1
    assert width_of("plain") == 5
