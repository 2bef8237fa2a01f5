"""Options of edge-benchmark that cannot act where they are given are usage errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.commands.benchmark import _models, main
from edge.commands.benchmark.options import read_options
from edge.service.configuration import Configuration


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--source camera --image a.jpg", "--image"),
        ("--source camera --num-runs 9", "--num-runs"),
        ("--source camera --cold-starts 1", "--cold-starts"),
        ("--source camera --save a.json", "--save"),
        ("--source camera --apply", "--apply"),
        ("--source camera --soak 10m", "--soak"),
        ("--soak 10m --seconds 4", "--seconds"),
        ("--soak 10m --compare a.json", "--compare"),
        ("--soak 10m a.tflite b.tflite", "--soak"),
        ("--rate 10 --num-runs 9", "--num-runs"),
        ("--rate 0", "--rate"),
        ("--rate 10 --save a.json", "--save"),
        ("--tune --num-runs 9", "--num-runs"),
        ("--fail-above 1.1", "--fail-above"),
        ("--strict", "--strict"),
        ("--force", "--force"),
        ("--raw", "--raw"),
        ("--save a.json --compare ./a.json", "--compare"),
        ("--save a.png --plot a.png", "--plot"),
        ("--max-loss 2", "--max-loss"),
        ("--as current", "--as"),
        ("--as current a.tflite b.tflite", "--as"),
        ("--as= a.tflite", "--as"),
        ("--num-runs 0", "--num-runs"),
        ("--threads 1,x", "--threads"),
        ("--runtime x", "--runtime"),
        ("--soak soon", "--soak"),
        ("--fail-above x", "--fail-above"),
        ("--cold-starts -1", "--cold-starts"),
    ],
)
def test_an_option_that_cannot_act_is_one_line(
    words: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read_options(words.split())
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


@pytest.mark.parametrize("by", ["itself", "a link", "a hard link", "its folder"])
def test_one_file_by_two_names_is_measured_once_and_that_is_said(
    by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "a.tflite"
    model.write_bytes(b"TFL3")
    again = {"itself": model, "its folder": tmp_path}.get(by, tmp_path / "b.tflite")
    if by == "a link":
        again.symlink_to(model)
    elif by == "a hard link":
        again.hardlink_to(model)
    args = read_options([str(model), str(again)])
    assert _models(args, Configuration()) == [model]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"is the same file as {model}, and is measured once")


def test_copies_are_two_and_a_missing_file_stays_to_be_reported(tmp_path: Path) -> None:
    paths = [tmp_path / "a.tflite", tmp_path / "b.tflite", tmp_path / "absent.tflite"]
    for path in paths[:2]:
        path.write_bytes(b"TFL3")
    assert _models(read_options([*map(str, paths)]), Configuration()) == paths


@pytest.mark.parametrize(
    ("options", "named"),
    [("--as current", "--as"), ("--soak 1m", "--soak"), ("--soak 1m --threads 1,2", "--soak")],
)
def test_what_takes_one_model_takes_no_folder_of_them(
    options: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a.tflite"] if "--threads" in options else ["a.tflite", "b.tflite"]
    for name in names:
        (tmp_path / name).write_bytes(b"TFL3")
    assert main([str(tmp_path), *options.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line and "one model" in line


def test_what_is_not_given_has_its_default() -> None:
    args = read_options([])
    assert (args.num_runs, args.cold_starts, args.format, args.mode) == (200, 5, "text", None)
    args = read_options("a.tflite b.tflite --rate 10 --source camera --soak 10m".split())
    assert (args.mode, args.rate, args.soak) == ("rate", 10.0, 600.0)
