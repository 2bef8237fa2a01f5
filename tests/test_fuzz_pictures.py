"""Damaged images end in an answer or in one clear line; `make fuzz` tries thousands."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run
from fuzz_pictures import DAMAGES, damaged, outcome, pictures

COUNT = 200

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the memory's peak is counted as Linux does"
)


def test_200_damaged_pictures_end_in_an_answer_or_one_line() -> None:
    done = run("tests/fuzz_pictures.py", "--count", str(COUNT), "--seed", "7")
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""  # no decoder writes to it by itself
    *counts, total = done.stdout.splitlines()
    assert total.split(maxsplit=1) == [str(COUNT), "damaged images, 0 of which went wrong"]
    times = {found: int(number) for number, found in (line.split(maxsplit=1) for line in counts)}
    assert sum(times.values()) == COUNT
    assert 10 < times["answer"] < COUNT / 2  # neither nothing nor all is damaged


def test_every_sound_picture_is_answered() -> None:
    assert {outcome(content) for content in pictures()} == {"answer"}


def test_a_number_of_a_seed_is_the_same_picture() -> None:
    sound = pictures()
    first = [damaged(number, 1, sound) for number in range(50)]
    assert first == [damaged(number, 1, sound) for number in range(50)]
    assert first != [damaged(number, 2, sound) for number in range(50)]
    assert len(DAMAGES) == 10
