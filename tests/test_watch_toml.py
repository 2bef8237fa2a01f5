"""The configuration that is installed: every key, the words of --help above it, its default."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import ROOT

from edge.commands.keys import HELP
from edge.service.configuration import KEYS, TABLE_KEYS, TABLES, build, read

SHIPPED = ROOT / "deploy" / "watch.toml"
OF_THE_SERVICE = {"follow": True, "every": 0}  # where it differs from edge-watch's own defaults


def uncommented(tmp_path: Path) -> Path:
    path = tmp_path / "watch.toml"
    path.write_text(re.sub(r"(?m)^#(?=\w+ = )", "", SHIPPED.read_text()))
    return path


def test_it_is_taken_as_it_is() -> None:
    values = read(SHIPPED)
    assert values == {"source": "camera"} | OF_THE_SERVICE
    build(values)


def test_it_shows_every_key(tmp_path: Path) -> None:
    assert set(read(uncommented(tmp_path))) == set(KEYS)


def test_what_it_shows_is_what_holds_without_it(tmp_path: Path) -> None:
    assert build(read(uncommented(tmp_path))) == build(OF_THE_SERVICE)


def test_it_shows_every_key_of_tables(tmp_path: Path) -> None:
    path = tmp_path / "watch.toml"
    path.write_text(re.sub(r"(?m)^#   (?=\w+ = |\[\[)", "", SHIPPED.read_text()))
    values = read(path)
    text = SHIPPED.read_text()
    for name in TABLES:
        assert values[name]
        block = text.partition(f"[[{name}]]")[2]
        keys = [key.name for key in TABLE_KEYS.values() if key.section == name]
        assert [key for key in keys if not re.search(rf"(?m)^#   {key} = ", block)] == []


def test_its_comments_are_the_words_of_help() -> None:
    section, block, above = "", "", dict[str, str]()
    for line in SHIPPED.read_text().splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section, block = f"{header[1]}.", ""
        elif named := re.match(r"#?(\w+) = ", line):
            above[section + named[1]], block = block, ""
        else:
            block = f"{block} {line.removeprefix('# ')}" if line else ""
    wrong = [key for key in KEYS if HELP[key].lower() not in above[key].lower()]
    assert wrong == []


def test_no_field_of_the_settings_is_described_a_second_time() -> None:
    described = [
        f"{path}:{number}"
        for path in (ROOT / "edge").rglob("*.py")
        for settings in re.finditer(
            r"(?ms)^class \w*(?:Settings|Configuration)\b.*?(?=^\S)", path.read_text()
        )
        for number, line in enumerate(settings[0].splitlines())
        if re.match(r"    \w+: [^#]* = [^#]*#", line)
    ]
    assert described == []
