"""Work in threads: every outcome in order, and an end when it must end."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from convert.data.parallel import each


def test_outcomes_come_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    def slow(number: int) -> int:
        time.sleep(0.001 * (number % 7))
        return number * number

    assert list(each(slow, range(200), "square")) == [n * n for n in range(200)]
    assert "square" in capsys.readouterr().err


def test_no_bar_where_none_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(each(str, range(3), "text", bar=False)) == ["0", "1", "2"]
    assert capsys.readouterr().err == ""


def test_nothing_to_do_is_done() -> None:
    assert list(each(str, [], "text")) == []


def test_an_error_ends_it_soon() -> None:
    begun, before = itertools.count(), set(threading.enumerate())

    def fail(number: int) -> None:
        next(begun)
        if number == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        list(each(fail, range(100_000), "fail"))
    assert next(begun) < 1000
    left = set(threading.enumerate()) - before
    assert not [thread.name for thread in left if "Executor" in thread.name]
