"""What edge-benchmark found best, kept and read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT
from trees import raspberry_pi

from edge.classifier import tuned
from edge.classifier.tuned import Best, Tuned

MODEL = ROOT / "models" / "hotdog-small.tflite"
PI = "Raspberry Pi 4 Model B Rev 1.4"
BEST = Best(MODEL.stat().st_size, "litert", 3, 4.25)
TUNED = Tuned(PI, 4, "2026-11-25T05:00:00+00:00", str(MODEL), {MODEL.name: BEST})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Raspberry Pi 4 whose user has a configuration folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    return raspberry_pi(tmp_path / "root", 4)


def test_it_is_read_as_it_was_written(root: Path) -> None:
    assert tuned.read(root) is None
    for path in reversed(tuned.places(root)):
        tuned.write(TUNED, path)
        assert tuned.read(root) == TUNED


def test_the_users_own_comes_first(root: Path) -> None:
    own, system = tuned.places(root)
    assert own.parts[-3:] == ("own", "edge-classify", "tuned.json")
    assert system == root / "etc/edge-classify/tuned.json"
    tuned.write(TUNED, system)
    tuned.write(Tuned(PI, 4, "later", str(MODEL), {}), own)
    found = tuned.read(root)
    assert found is not None
    assert found.measured_at == "later"


def test_a_card_that_moved_to_another_board_is_measured_anew(root: Path, tmp_path: Path) -> None:
    tuned.write(TUNED, tuned.places(root)[0])
    assert tuned.read(raspberry_pi(tmp_path / "other", 5)) is None


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "best": 3}', "\xff"]
)
def test_a_damaged_file_is_as_none(root: Path, content: str) -> None:
    path = tuned.places(root)[0]
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="latin-1")
    assert tuned.read(root) is None


def test_a_number_of_threads_that_cannot_be_is_as_none(root: Path) -> None:
    wrong = Tuned(PI, 4, "", str(MODEL), {MODEL.name: Best(1, "litert", 0, 1.0)})
    tuned.write(wrong, tuned.places(root)[0])
    assert tuned.read(root) is None


def test_another_file_of_the_same_name_was_not_measured(tmp_path: Path) -> None:
    assert TUNED.of(MODEL) == BEST
    changed = tmp_path / MODEL.name
    changed.write_bytes(b"another")
    assert TUNED.of(changed) is None
    assert TUNED.of(tmp_path / "absent" / MODEL.name) is None
    assert TUNED.of(ROOT / "models" / "hotdog.tflite") is None
