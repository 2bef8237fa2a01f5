"""deploy/settings.py: what install.sh changes in a configuration, and what it leaves."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

SETTINGS = ROOT / "deploy" / "settings.py"
spec = importlib.util.spec_from_file_location("settings", SETTINGS)
assert spec and spec.loader
settings = importlib.util.module_from_spec(spec)
spec.loader.exec_module(settings)

DEFAULT = (ROOT / "deploy" / "watch.toml").read_text()
LETTERS = "aZ09 _-/.\"'\\#=[]äß日%$`"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SETTINGS), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("key", ["model", "source", "snapshots.folder", "results.file", "new.key"])
@pytest.mark.parametrize("seed", range(8))
def test_a_text_is_set_and_the_rest_stays(key: str, seed: int) -> None:
    draw = random.Random(seed)
    value = "".join(draw.choices(LETTERS, k=draw.randrange(1, 30)))
    other = "".join(draw.choices(LETTERS, k=9))
    once = settings.with_value(DEFAULT, key, other)
    text = settings.with_value(once, key, value)
    section, _, name = key.rpartition(".")
    before, after = tomllib.loads(DEFAULT), tomllib.loads(text)
    (after[section] if section else after).pop(name)
    (before.get(section, {}) if section else before).pop(name, None)
    assert {k: v for k, v in after.items() if v != {}} == {
        k: v for k, v in before.items() if v != {}
    }
    assert settings.value_of(text, key) == value
    if key != "new.key":
        assert len(text.splitlines()) == len(DEFAULT.splitlines())


def test_a_key_of_another_section_is_not_taken() -> None:
    text = '[camera]\nfolder = "a"\n[snapshots]\n# folder = "shown"\n[x]\nfolder = "b"\n'
    changed = settings.with_value(text, "snapshots.folder", "/srv")
    assert changed == text.replace('# folder = "shown"', 'folder = "/srv"')


def test_a_line_that_is_in_use_comes_before_one_that_is_shown() -> None:
    changed = settings.with_value('#model = "a"\nmodel = "b"  # mine\n', "model", "c")
    assert changed == '#model = "a"\nmodel = "c"\n'


def test_an_absent_section_is_added() -> None:
    changed = settings.with_value("every = 1", "snapshots.folder", "/srv")
    assert tomllib.loads(changed) == {"every": 1, "snapshots": {"folder": "/srv"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml", ("set", "model", "x")),
        ('snapshots = { folder = "a" }\n', ("set", "snapshots.folder", "b")),
        ("not toml", ("get", "model")),
    ],
)
def test_what_cannot_be_done_is_one_line(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "watch.toml"
    file.write_text(text)
    done = run(words[0], str(file), *words[1:])
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"{file}: ")


def test_it_prints_a_text_or_the_file(tmp_path: Path) -> None:
    file = tmp_path / "watch.toml"
    file.write_text('model = "/srv/ä.tflite"\nfps = 2\n')
    assert run("get", str(file), "model").stdout == "/srv/ä.tflite\n"
    assert run("get", str(file), "fps").stdout == "\n"
    set_two = run("set", str(file), "model", "a", "source", "b")
    assert tomllib.loads(set_two.stdout) == {"model": "a", "fps": 2, "source": "b"}
