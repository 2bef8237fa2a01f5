"""report.md and the table on stdout."""

from __future__ import annotations

import re

from reports import ODD, report

from convert.report.markdown import PICTURES, report_md, table


def cells(line: str) -> list[str]:
    """Of a table's line, as Markdown splits it: at bars that are not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_table_is_aligned() -> None:
    lines = table(report().variants).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4
    assert cells(lines[3])[0] == "int8"


def test_the_report_says_what_to_ship_first() -> None:
    text = report_md(report())
    assert text.startswith("# model\n\n`python -m convert PHOTOS --epochs 6`\n\n**ship model-int8")
    for word in ("it rains", "Conv\\_1", "ab" * 32, "float32 alone"):
        assert word.replace("\\_", "_") in text


def test_pictures_that_are_absent_are_not_shown() -> None:
    text = report_md(report(), {"history.png", "confusion.png"})
    assert "](history.png)" in text
    assert "](mistakes.png)" not in text
    assert all(f"]({name})" in report_md(report()) for name in PICTURES)


def test_odd_labels_break_no_table() -> None:
    text = report_md(report(ODD))
    assert "<script>" not in text.replace("\\<script\\>", "")
    widths = {len(cells(line)) for line in text.splitlines() if line.startswith("| a ")}
    assert widths == {9, 4}
    assert "new\\\\nline \\| bar" in text


def test_a_command_with_code_marks_stays_code() -> None:
    text = report_md(report(command="convert --name 'a`b'"))
    assert "`` convert --name 'a`b' ``" in text


def test_no_photos_name_is_told() -> None:
    assert ".jpg" not in report_md(report())
