"""The three questions of an owner, each by one command: on drawn Raspberry Pis, and here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

import pytest
from conftest import ROOT
from trees import ZERO_2, raspberry_pi

from edge import board, cores
from edge.benchmark import conditions
from edge.classifier import tuned
from edge.commands.benchmark import main

MODEL = ROOT / "models" / "hotdog-scratch.tflite"
OTHER = ROOT / "models" / "hotdog-small.tflite"
HERE = 0
QUICK = ("--num-runs", "25", "--warmup-runs", "1", "--cold-starts", "0")
Boards = Callable[..., None]


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Boards:
    """Make all that looks at the machine see a drawn board; HERE is this one."""
    functions = [
        value
        for owner in (board, cores, conditions, conditions.Load, conditions.Sampler, tuned)
        for value in vars(owner).values()
        if isinstance(value, FunctionType) and value.__defaults__
    ]
    usual = {function: function.__defaults__ for function in functions}

    def look_at(number: int, **facts: str) -> None:
        root = raspberry_pi(tmp_path / f"pi-{number}", number, **facts) if number else Path("/")
        for function, defaults in usual.items():
            given = tuple(root if value == Path("/") else value for value in defaults or ())
            monkeypatch.setattr(function, "__defaults__", given)

    return look_at


@pytest.mark.parametrize(
    ("number", "facts", "verdict"),
    [
        (HERE, {}, "5 fps"),
        (ZERO_2, {"celsius": "71.2"}, "holds 5 fps at 71 Celsius"),
        (ZERO_2, {"celsius": "84", "throttled": "4"}, "for long: throttled at 84 Celsius (hot"),
        (4, {"celsius": "52"}, "holds 5 fps at 52 Celsius"),
        (5, {}, "holds 5 fps at 48 Celsius"),
    ],
)
def test_which_of_these_models_holds_a_rate_without_heating_up(
    number: int,
    facts: dict[str, str],
    verdict: str,
    on: Boards,
    capsys: pytest.CaptureFixture[str],
) -> None:
    on(number, **facts)
    models = [str(MODEL), str(OTHER)]
    assert main([*models, "--rate", "5", "--soak", "1", "--warmup-runs", "1"]) == 0
    _, first, second, *judged = capsys.readouterr().out.splitlines()
    for model, line in zip((MODEL, OTHER), judged, strict=True):
        assert line.startswith(model.name)
        assert verdict in line or "late" in line  # this machine may be busy
    assert number != 5 or all(line.endswith("unknown") for line in (first, second))
    assert number != 4 or first.endswith("none")


@pytest.mark.parametrize("number", [HERE, ZERO_2, 4, 5])
def test_is_it_slower_since_my_upgrade(
    number: int, on: Boards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on(number)
    before = tmp_path / "before.json"
    options = [str(MODEL), "--as", "current", "--threads", "1", *QUICK]
    assert main([*options, "--save", str(before)]) == 0
    record = json.loads(before.read_text())
    record["packages"]["numpy"] = "1.24.2"
    before.write_text(json.dumps(record))
    capsys.readouterr()
    assert main([*options, "--compare", str(before)]) == 0
    said = capsys.readouterr().out
    assert "numpy was 1.24.2, and is " in said
    assert ", invoke: " in said and " of the baseline (95 %: " in said
    on(5 if number != 5 else 4)  # the card moved
    assert main([*options, "--compare", str(before), "--fail-above", "100"]) == 1
    said = capsys.readouterr().out
    assert said.index("not comparable: the board was") < said.index(" of the baseline")
    assert not said.rstrip().endswith(": slower") and ": slower\n" not in said


@pytest.mark.parametrize("number", [HERE, ZERO_2, 4, 5])
def test_two_threads_or_four(number: int, on: Boards, capsys: pytest.CaptureFixture[str]) -> None:
    on(number)
    assert main([str(MODEL), "--threads", "2,4", *QUICK]) == 0
    said = capsys.readouterr().out
    assert "times as fast as" in said
    assert "recommended: " in said and " threads: " in said
    assert number == HERE or "Raspberry Pi" in said
    assert ("throttling unknown" in said) == (number in (HERE, 5))
    assert number == HERE or "governor is ondemand" in said


@pytest.mark.parametrize("mode", ["--source", "--soak", "--rate"])
def test_heat_and_throttling_are_sampled_whatever_is_measured(
    mode: str, on: Boards, photo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on(ZERO_2, celsius="84", throttled="4")
    options = {
        "--source": ["--source", str(photo_folder), "--seconds", "1"],
        "--soak": ["--soak", "1"],
        "--rate": ["--rate", "5", "--soak", "1"],
    }
    assert main([str(MODEL), *options[mode], "--warmup-runs", "1"]) == 0
    said = capsys.readouterr().err
    assert "unreliable: it reached 84 Celsius" in said
    assert "the firmware slowed the processor down: throttled" in said
    assert "| sudo tee" in said  # a remark on the governor, with a remedy
