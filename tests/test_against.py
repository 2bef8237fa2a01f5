"""A run against an earlier one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import reports

from convert.errors import OutputError
from convert.report.against import Earlier, compare
from convert.report.page import pictures, report_html
from convert.report.report import card_json

PHOTOS = {f"{n:02}": ("hotdog", "hotdog" if n < 16 else "nothotdog") for n in range(20)}


def write_run(out: Path, right: range, photos: int = 20) -> Path:
    """Leave what an earlier run leaves: a card, and a prediction of each photo."""
    out.mkdir()
    (out / "card.json").write_text(json.dumps(card_json(reports.report())))
    lines = ["path,label,set,group,score,prediction,sha256"]
    lines += [
        f"hotdog/{n}.jpg,hotdog,test,,0.9,{'hotdog' if n in right else 'nothotdog'},{n:02}"
        for n in range(photos)
    ]
    (out / "splits.csv").write_text("\n".join([*lines, "hotdog/x.jpg,hotdog,train,,,,99"]))
    return out


def test_runs_are_compared_on_the_photos_that_neither_trained_on(tmp_path: Path) -> None:
    earlier = Earlier.read(write_run(tmp_path / "before", range(10), photos=18))
    found = compare(earlier, card_json(reports.report()), PHOTOS)
    assert found.words.startswith(
        "On the 18 photos that neither run trained on, this one is right on 0."
    )
    assert "this one alone on 6, the other alone on 0 (McNemar's p 0.031: more than" in found.words
    assert found.rows[0] == ("", "this run", "before")
    assert ("file", "model-int8.tflite", "model-int8.tflite") in found.rows


def test_runs_without_a_common_photo_are_not_compared(tmp_path: Path) -> None:
    earlier = Earlier.read(write_run(tmp_path / "before", range(0), photos=0))
    assert "measured none" in compare(earlier, card_json(reports.report()), PHOTOS).words


def test_the_report_shows_the_comparison(tmp_path: Path) -> None:
    earlier = Earlier.read(write_run(tmp_path / "before", range(10)))
    found = compare(earlier, card_json(reports.report()), PHOTOS)
    report = reports.report(against=found)
    page = report_html(report, pictures(report)).decode()
    assert "Against the earlier run" in page and "this one alone on 6" in page


@pytest.mark.parametrize("damage", ["absent", "card.json", "splits.csv"])
def test_what_is_no_run_is_one_line(tmp_path: Path, damage: str) -> None:
    out = write_run(tmp_path / "before", range(10))
    if damage == "absent":
        out = tmp_path / "absent"
    else:
        (out / damage).write_text('{"variants": []}' if damage == "card.json" else "a,b\n1,2\n")
    with pytest.raises(OutputError, match="use the OUT folder of an earlier run") as caught:
        Earlier.read(out)
    assert str(out) in str(caught.value)
