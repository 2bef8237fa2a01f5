"""OUT: what cannot be written is found at once, two runs never meet, earlier runs are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from convert.errors import OutputError, interruptible
from convert.files import claimed, earlier_runs, move_aside, put_back
from edge.commands import run


def test_a_folder_is_made_and_no_lock_is_left(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with claimed(out):
        assert out.is_dir()
    assert not out.exists()  # nothing was written
    with claimed(out):
        (out / "file").write_text("x")
    assert [path.name for path in out.iterdir()] == ["file"]


def test_a_second_run_is_rejected_with_the_firsts_number(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from convert.files import claimed\n"
        "with claimed(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        told = rf"is being written by another run \(process {first.pid}\)"
        with pytest.raises(OutputError, match=told), claimed(tmp_path):
            pass
        first.kill()
    with claimed(tmp_path):  # a killed run holds nothing
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="file; use a folder for -o"), claimed(tmp_path / "out"):
        pass
    told = r"cannot be created \(Not a directory\)"
    with pytest.raises(OutputError, match=told), claimed(tmp_path / "out" / "inner"):
        pass


def test_a_name_that_is_not_utf8_is_rejected(tmp_path: Path) -> None:
    out = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcll"))
    with pytest.raises(OutputError, match="its name is not UTF-8"), claimed(out):
        pass
    assert not out.exists()


def test_earlier_runs_are_kept_whole_and_numbered(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "training").mkdir()
        (tmp_path / "training" / "state.json").write_text(f"{number}")
        (tmp_path / "cache").mkdir(exist_ok=True)
        for name in ("model-int8.tflite", "card.json", "report.html", "splits.csv"):
            (tmp_path / name).write_text(f"{number}")
        assert move_aside(tmp_path) == tmp_path / f"earlier-{number}"
        kept = tmp_path / f"earlier-{number}"
        assert (kept / "training" / "state.json").read_text() == f"{number}"
        assert (kept / "model-int8.tflite").read_text() == f"{number}"
        assert "cache" not in {path.name for path in kept.iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "earlier-1", "earlier-2"}


def test_where_no_run_was_nothing_is_moved(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "photos").mkdir()
    assert move_aside(tmp_path) is None
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "photos"}


def test_ctrl_c_reports_what_the_innermost_step_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> int:
        with interruptible(lambda: "nothing was begun"), interruptible(lambda: "all is kept"):
            raise KeyboardInterrupt

    assert run(stopped, "convert") == 130
    assert capsys.readouterr().err == "convert: stopped; all is kept\n"


def test_put_back_exchanges_two_runs(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("first")
    earlier = move_aside(tmp_path)
    assert earlier is not None
    (tmp_path / "card.json").write_text("second")
    assert put_back(earlier) == tmp_path / "earlier-2"
    assert (tmp_path / "card.json").read_text() == "first"
    assert (tmp_path / "earlier-2" / "card.json").read_text() == "second"
    assert earlier_runs(tmp_path) == [tmp_path / "earlier-2"]
