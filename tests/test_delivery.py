"""What becomes of sightings while a sink fails: counted, tried again, and no change lost."""

from __future__ import annotations

import itertools

import pytest
from sightings import sighting

from edge.service.delivery import FIRST_PAUSE_S, LONGEST_PAUSE_S, MOST_LATE, Delivery
from edge.service.sighting import Sighting, Sink
from edge.service.sinks import ReaderGoneError


class Flaky(Sink):
    """A sink that fails as long as `error` says so; what it took, in order."""

    name = "flaky"

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.taken: list[Sighting] = []
        self.tries = 0
        self.closed = False

    def __call__(self, sighting: Sighting) -> None:
        self.tries += 1
        if self.error:
            raise self.error
        self.taken.append(sighting)

    def close(self) -> None:
        self.closed = True

    @property
    def numbers(self) -> list[int]:
        return [sighting.number for sighting in self.taken]


class Setting:
    """A delivery to a flaky sink, at a time of the test's own."""

    def __init__(self) -> None:
        self.sink, self.lines, self.now_s = Flaky(), list[str](), 100.0
        self.delivery = Delivery(self.sink, self.lines.append, lambda: self.now_s)

    def fail(self, error: BaseException | None = None) -> None:
        self.sink.error = error or OSError(28, "No space left on device")


@pytest.fixture
def at() -> Setting:
    return Setting()


def test_what_works_is_delivered_and_nothing_is_said(at: Setting) -> None:
    for number in range(1, 4):
        at.delivery(sighting(number))
    assert at.sink.numbers == [1, 2, 3]
    assert all(taken.frame for taken in at.sink.taken)
    assert (at.delivery.failures, at.lines) == (0, [])


def test_whatever_it_raises_is_one_line_and_a_count(at: Setting) -> None:
    at.fail(ValueError("two\nlines"))
    at.delivery(sighting())
    assert at.lines == ["flaky: two\\nlines; next attempt in 1 s"]
    assert at.delivery.failures == 1


def test_an_error_without_a_word_is_named(at: Setting) -> None:
    at.fail(TimeoutError())
    at.delivery(sighting())
    assert at.lines == ["flaky: TimeoutError; next attempt in 1 s"]


def test_it_is_left_alone_for_a_growing_time(at: Setting) -> None:
    at.fail()
    tries = []
    for _ in range(4000):
        before = at.sink.tries
        at.delivery(sighting())
        if at.sink.tries > before:
            tries.append(at.now_s)
        at.now_s += 0.125
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    assert pauses == [1, 2, 4, 8, 16, 32, *[60] * (len(pauses) - 6)]
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_S, LONGEST_PAUSE_S)
    assert len(at.lines) == len(tries) == at.delivery.failures


def test_changes_wait_and_come_in_order_without_their_pictures(at: Setting) -> None:
    at.fail()
    for number in range(1, 6):
        at.delivery(sighting(number, changed=number % 2 == 0))
    at.sink.error = None
    at.delivery(sighting(6))  # the pause is not over
    assert at.delivery.trouble == "flaky fails"
    assert at.sink.numbers == []
    at.now_s += 1
    at.delivery(sighting(7))
    at.delivery(sighting(8))
    assert at.sink.numbers == [2, 4, 7, 8]
    assert [taken.frame is None for taken in at.sink.taken] == [True, True, False, False]
    assert at.delivery.trouble == ""
    assert at.lines[1:] == ["flaky: works again (1 failures in total, 0 changes lost)"]


def test_none_comes_twice_when_it_fails_again_in_the_midst(at: Setting) -> None:
    at.fail()
    for number in range(1, 4):
        at.delivery(sighting(number, changed=True))
    at.now_s += 1

    class Once(Flaky):
        def __call__(self, sighting: Sighting) -> None:
            if len(self.taken) == 2 and not self.tries:
                self.tries += 1
                raise OSError(5, "Input/output error")
            self.taken.append(sighting)

    sink = Once()
    at.delivery._sink = sink
    at.delivery(sighting(4, changed=True))
    assert sink.numbers == [1, 2]
    at.now_s += 2
    at.delivery(sighting(5))
    assert sink.numbers == [1, 2, 3, 4, 5]


def test_so_many_changes_wait_and_the_oldest_is_lost_and_told(at: Setting) -> None:
    at.fail()
    for number in range(1, MOST_LATE + 4):
        at.delivery(sighting(number, changed=True))
    assert at.delivery.lost == 3
    at.sink.error, at.now_s = None, at.now_s + 1
    at.delivery(sighting(9999))
    assert at.sink.numbers == [*range(4, MOST_LATE + 4), 9999]
    assert at.lines[-1].endswith(", 3 changes lost)")


def test_who_asks_for_a_picture_is_not_told_to_wait(at: Setting) -> None:
    at.fail()
    at.delivery(sighting(1))
    at.sink.error = None
    at.delivery(sighting(2, wanted=True))
    assert at.sink.numbers == [2]


def test_a_reader_that_left_ends_it(at: Setting) -> None:
    at.fail(ReaderGoneError(32, "Broken pipe"))
    with pytest.raises(ReaderGoneError):
        at.delivery(sighting())
    at.fail(BrokenPipeError(32, "Broken pipe"))  # another sink's connection is no reader
    at.delivery(sighting())
    assert at.delivery.failures == 1


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_process_is_no_failure(at: Setting, ending: type[BaseException]) -> None:
    at.fail(ending())
    with pytest.raises(ending):
        at.delivery(sighting())
    assert at.delivery.failures == 0


def test_what_waits_is_delivered_at_the_end(at: Setting) -> None:
    at.fail()
    at.delivery(sighting(1, changed=True))
    at.sink.error = None
    at.delivery.close()
    assert at.sink.numbers == [1]
    assert at.sink.closed


def test_what_cannot_be_delivered_at_the_end_is_told(at: Setting) -> None:
    at.fail()
    at.delivery(sighting(1, changed=True))
    at.delivery.close()
    assert at.lines[-1] == "flaky: No space left on device; 1 changes lost"
    assert at.sink.closed


def test_a_sink_that_cannot_be_closed_ends_nothing(at: Setting) -> None:
    class Stuck(Flaky):
        def close(self) -> None:
            raise OSError(5, "Input/output error")

    lines: list[str] = []
    Delivery(Stuck(), lines.append).close()
    assert lines == ["flaky: Input/output error"]
