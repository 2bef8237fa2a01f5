"""What make test-quick leaves out is found without marks."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import commands, run
from live import Watching
from selection import is_of_convert, needs_tensorflow, starts_processes

from edge.commands.benchmark import main as benchmark


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import keras", True),
        ("def test():\n    import tensorflow as tf", True),
        ("from convert.training import networks", True),
        ("from convert.data.drawn import draw_photos", False),
        ("from small_models import small_models_of", True),
        ("from model_copies import relabelled", False),
        ("run('-m', 'convert.tflite.quantize')", True),
        ("run('-m', 'edge', 'classify')", False),
        ("run(PROGRAMS / 'make_batches.py')", True),
        ("run(PROGRAMS / 'tensors.py')", False),
        ("run('benchmarks/epoch.py')", True),
    ],
)
def test_tensorflow_is_found_behind_what_is_imported_and_run(
    tmp_path: Path, text: str, expected: bool
) -> None:
    (tmp_path / "test_it.py").write_text(text)
    assert needs_tensorflow(tmp_path / "test_it.py") == expected


def test_the_name_tells_whose_module_is_tested() -> None:
    names = ("test_split.py", "test_pace.py", "test_report.py")  # both packages have a report
    assert [is_of_convert(Path(name)) for name in names] == [True, False, False]


def test_processes_are_found_behind_what_a_test_and_its_fixtures_call() -> None:
    def starts() -> None:
        run("-m", "edge", "classify")

    def nested() -> None:
        def inner() -> None:
            Watching(Path(), Path())

        inner()

    def stays() -> None:
        needs_tensorflow(Path(__file__))

    for function, expected in ((starts, True), (nested, True), (commands, True), (stays, False)):
        assert starts_processes(function) == expected
    assert starts_processes(stays, starts)  # a fixture does


def test_what_edge_benchmark_measures_is_left_out() -> None:
    assert starts_processes(benchmark)
