"""Wrong usage is one line on stderr and exit status 2, in every command."""

from __future__ import annotations

from importlib import import_module

import pytest

# Per command: its module, and wrong words, each with what the line must name.
WRONG = {
    "edge-classify": (
        "edge.commands.classify",
        {
            "": "PATH",
            "--nope a.jpg": "--nope",
            "-k many a.jpg": "-k/--top-k: must be a number from 1",
            "-t 2 a.jpg": "--threshold",
            "--format xml a.jpg": "--format: invalid choice: 'xml'",
            "- -": "stdin",
        },
    ),
    "edge-watch": (
        "edge.commands.watch",
        {"--nope": "--nope", "extra": "extra", "--fps x": "fps", "--camera-flip up": "camera.flip"},
    ),
    "edge-benchmark": (
        "edge.commands.benchmark",
        {"--nope": "--nope", "--threads 0": "--threads", "--soak soon": "--soak"},
    ),
    "edge-doctor": (
        "edge.commands.doctor",
        {"--nope": "--nope", "extra": "extra", "--format xml": "--format"},
    ),
    "python -m convert": (
        "convert.steps.command_line",
        {
            "": "PHOTOS",
            "x --nope": "--nope",
            "x --epochs 0": "--epochs: must be a number from 1",
            "check": "PHOTOS",
            "check x --format xml": "--format",
            "preview": "PHOTO",
            "train": "PHOTOS",
            "train x --network net": "--network",
            "export": "PHOTOS",
            "evaluate x": "MODEL",
            "evaluate x --set q y": "--set",
            "wrap x": "-o/--out",
        },
    ),
}
CASES = [
    (command, module, words, named)
    for command, (module, cases) in WRONG.items()
    for words, named in cases.items()
]


@pytest.mark.parametrize(("command", "module", "words", "named"), CASES)
def test_wrong_usage_is_one_line(
    command: str, module: str, words: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = import_module(module).main(words.split())
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.count("\n") == 1 and said.err.startswith(command)
    assert named in said.err
