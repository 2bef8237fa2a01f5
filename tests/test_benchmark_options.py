"""Options of edge-benchmark that cannot act where they are given are usage errors."""

from __future__ import annotations

import pytest

from edge.commands.benchmark.options import read_options


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


def test_what_is_not_given_has_its_default() -> None:
    args = read_options([])
    assert (args.num_runs, args.cold_starts, args.format, args.mode) == (200, 5, "text", None)
    args = read_options("a.tflite b.tflite --rate 10 --source camera --soak 10m".split())
    assert (args.mode, args.rate, args.soak) == ("rate", 10.0, 600.0)
