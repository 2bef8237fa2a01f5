"""Commands and pins on a change of state: real programs, and gpiozero with its mock pins."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run

WRONG = {
    "to": ['"a"', "[1]", "true", "{}"],
    "from": ['"a"', "[[]]", "0.5"],
    "zone": ["1", "[]", "false"],
    "every_s": ["-1", "nan", "1e9", '"1"', "true"],
    "command": ["[]", '""', "[1]", '["bell"]', '[""]', "'/bin/true'"],
    "deadline_s": ["0", "-1.0", "inf", '"soon"', "[]"],
    "image": ["1", '"yes"', "[true]"],
    "gpio": ['""', "17", '"GPIO"', '"GPIO17; reboot"', '"/dev/gpiochip0"', "[]"],
    "gpio_s": ["0", "-1", "4000.0", '"1"', "nan"],
    "active_low": ["0", '"no"', "[]"],
}
GOOD = {"command": '["/bin/true"]', "gpio": '"GPIO17"'}


def rejected(folder: Path, text: str) -> str:
    (folder / "watch.toml").write_text(text)
    done = run("-m", "edge", "watch", "--config", str(folder / "watch.toml"), "--print-config")
    assert (done.returncode, done.stdout) == (2, ""), text
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def wrong_tables() -> list[tuple[str, str]]:
    """Every wrong value beside what its table needs, and what goes together in no table."""
    tables = []
    for key, values in WRONG.items():
        with_ = {"gpio": GOOD["gpio"]} if key.startswith(("gpio", "active")) else {}
        with_ = with_ or {"command": GOOD["command"]}
        tables += [(key, with_ | {key: value}) for value in values]
    tables += [("command", {}), ("command", GOOD), ("image", {"gpio": '"4"', "image": "true"})]
    return [
        (key, "\n".join(["[[action]]", *(f"{name} = {value}" for name, value in table.items())]))
        for key, table in tables
    ]


def test_wrong_tables_are_one_line_that_names_the_key(tmp_path: Path) -> None:
    from edge.errors import ConfigurationError
    from edge.service.configuration import build, read

    path = tmp_path / "watch.toml"
    for key, text in wrong_tables():
        path.write_text(f"{text}\n")
        with pytest.raises(ConfigurationError) as caught:
            build(read(path))
        line = str(caught.value)
        names = tuple(f"action.{name} ([[action]] 1): " for name in (key, "command"))
        assert line.startswith(names), text
        assert "\n" not in line


def test_a_wrong_table_ends_the_command_with_2(tmp_path: Path) -> None:
    two = '[[action]]\ncommand = ["/bin/true"]\n[[action]]\ngpio = "x"\n'
    line = rejected(tmp_path, two)
    assert line.startswith("edge-watch: action.gpio ([[action]] 2): must be a pin. Received: 'x'")
