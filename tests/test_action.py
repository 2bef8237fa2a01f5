"""Commands and pins on a change of state: real programs, and gpiozero with its mock pins."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, run
from live import HOTDOG, until, watching
from sightings import sighting

from edge.errors import ConfigurationError
from edge.service.configuration import build, read
from edge.service.sinks.action_settings import ActionSettings
from edge.service.sinks.actions import Action

ACT = str(ROOT / "tests" / "programs" / "act.sh")
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


def test_a_zone_that_does_not_exist_is_named(tmp_path: Path) -> None:
    text = '[[action]]\nzone = "gate"\ncommand = ["/bin/true"]\n'
    assert rejected(tmp_path, text).startswith("edge-watch: action.zone: must be a zone's name")


def test_a_state_that_the_model_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "watch.toml").write_text('[[action]]\nto = ["hotdgo"]\ncommand = ["/bin/true"]\n')
    options = ("--config", str(tmp_path / "watch.toml"), "--source", str(HOTDOG), "--check")
    done = run("-m", "edge", "watch", *options)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("edge-watch: action.to: the model has no label 'hotdgo'")


# --- programs


class Setting:
    """An action that runs ACT, at a time of the test's own."""

    def __init__(self, folder: Path, *words: str, **values: object) -> None:
        self.folder, self.lines, self.now_s = folder, list[str](), 100.0
        settings = ActionSettings(command=(ACT, str(folder), *words), **values)  # type: ignore[arg-type]
        self.action = Action(settings, self.lines.append, lambda: self.now_s)

    def runs(self) -> list[Path]:
        return sorted(self.folder.glob("done.*"), key=lambda path: path.stat().st_mtime)

    def children(self) -> list[int]:
        """Those that are still there."""
        pids = [int(path.read_text()) for path in self.folder.glob("child.*")]
        return [pid for pid in pids if is_alive(pid)]

    def left(self) -> list[int]:
        """Those that stay; the kernel takes a moment to end a process."""
        last = time.monotonic() + 2
        while self.children() and time.monotonic() < last:
            time.sleep(0.01)
        return self.children()

    def wait(self) -> None:
        """Until nothing runs."""
        thread = self.action._acting._thread  # type: ignore[union-attr]
        thread.join(20)
        assert not thread.is_alive()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_is_given_the_change_and_the_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_MQTT_PASSWORD", "secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    at = Setting(tmp_path, image=True)
    with closing(at.action):
        assert at.action(sighting(1)) is False  # nothing has changed
        change = replace(sighting(7, "cup", changed=True), zone="door")
        assert at.action(change) is True
        at.wait()
    record = json.loads(at.runs()[0].read_text())
    image = record.pop("image")
    assert record == json.loads(json.dumps(change.as_dict())) and record["zone"] == "door"
    (kept,) = tmp_path.glob("image.*.jpg")
    assert kept.read_bytes().startswith(b"\xff\xd8") and not Path(image).exists()
    (environment,) = tmp_path.glob("environment.*")
    assert "secret" not in environment.read_text()
    assert "CREDENTIALS_DIRECTORY" not in environment.read_text()
    assert (at.lines, at.action.failures, at.left()) == ([], 0, [])


def test_only_the_changes_that_are_meant(tmp_path: Path) -> None:
    at = Setting(tmp_path, to=("cup",), from_=("unknown",), zone="door")
    with closing(at.action):
        cup = replace(sighting(1, "cup", changed=True), zone="door")
        assert at.action(replace(sighting(2, "plate", changed=True), zone="door")) is False
        assert at.action(replace(cup, zone="table")) is False
        assert cup.change
        assert at.action(replace(cup, change=replace(cup.change, before="plate"))) is False
        assert at.action(cup.late()) is False  # a door must not open minutes later
        assert at.action(cup) is True


def test_never_two_at_once_and_at_most_one_in_a_time(tmp_path: Path) -> None:
    at = Setting(tmp_path, "1", every_s=60.0)
    with closing(at.action):
        change = sighting(1, changed=True)
        assert at.action(change) is True
        at.now_s += 61
        assert at.action(change) is False  # it still runs
        at.wait()
        at.now_s += 1
        assert at.action(change) is True  # what did not run does not count
        at.wait()
        at.now_s += 59
        assert at.action(change) is False
        at.now_s += 1
        assert at.action(change) is True


def test_at_its_deadline_it_is_killed_with_its_children(tmp_path: Path) -> None:
    at = Setting(tmp_path, "60", deadline_s=0.7)
    with closing(at.action):
        began = time.monotonic()
        assert at.action(sighting(1, changed=True))
        until(at.children)
        at.wait()
        assert time.monotonic() - began < 5
    assert (at.left(), at.action.failures) == ([], 1)
    assert at.lines == ["action act.sh: killed after 0.7 s"]


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn"
    stubborn.write_text(
        f"#!/bin/sh\ntrap '' TERM\necho $$ >{tmp_path}/child.1\nsleep 60\nsleep 60\n"
    )
    stubborn.chmod(0o755)
    at = Setting(tmp_path, deadline_s=0.3)
    at.action = Action(ActionSettings(command=(str(stubborn),), deadline_s=0.3), at.lines.append)
    with closing(at.action):
        at.action(sighting(1, changed=True))
        at.wait()
    assert at.left() == [] and at.lines == ["action stubborn: killed after 0.3 s"]


def test_what_fails_is_counted_and_reported(tmp_path: Path) -> None:
    at = Setting(tmp_path, "", "3")
    with closing(at.action):
        at.action(sighting(1, changed=True))
        at.wait()
        assert at.lines == ["action act.sh: ended with exit status 3"]
    lines = list[str]()
    action = Action(ActionSettings(command=("/nowhere/bell",)), lines.append)
    with closing(action):
        action(sighting(1, changed=True))
        until(lambda: action.failures)
    assert lines == ["action bell: No such file or directory"]


def test_a_service_ends_its_program_with_its_children(tmp_path: Path) -> None:
    (tmp_path / "watch.toml").write_text(
        f'[[action]]\nto = ["hotdog"]\ncommand = ["{ACT}", "{tmp_path}", "60"]\n'
    )
    with watching(tmp_path, HOTDOG, "--config", tmp_path / "watch.toml", "--fps", 10) as service:
        until(lambda: list(tmp_path.glob("done.*")))
        child = int(next(tmp_path.glob("child.*")).read_text())
        record = json.loads(next(tmp_path.glob("done.*")).read_text())
        assert is_alive(child) and record["event"]["to"] == "hotdog"
        began = time.monotonic()
        assert service.end() == 0
        assert time.monotonic() - began < 2 and not is_alive(child)
    assert "action" not in (tmp_path / "stderr").read_text()


# --- pins


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> object:
    gpiozero = pytest.importorskip("gpiozero", reason="pip install gpiozero")
    from gpiozero.pins.mock import MockFactory

    monkeypatch.setattr(gpiozero.Device, "pin_factory", MockFactory())
    return gpiozero.Device.pin_factory


@pytest.mark.parametrize("low", [False, True])
def test_a_pin_is_on_for_a_time(pins: object, low: bool) -> None:
    settings = ActionSettings(gpio="GPIO17", gpio_s=0.3, active_low=low)
    action = Action(settings, print)
    pin = pins.pin(17)  # type: ignore[attr-defined]
    with closing(action):
        assert pin.state is low
        assert action(sighting(1)) is False and pin.state is low
        assert action(sighting(2, changed=True)) is True
        assert pin.state is not low
        assert action(sighting(3, changed=True)) is False  # it is on
        until(lambda: pin.state is low, 5)
        assert action(sighting(4, changed=True)) is True
    assert pin.function == "input"  # it was given back


def test_a_pin_that_cannot_be_used_fails_the_action_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gpiozero", reason="pip install gpiozero")
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "native")
    import gpiozero

    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    action = Action(ActionSettings(gpio="GPIO17"), print)
    with closing(action):
        for _ in range(2):
            with pytest.raises(
                Exception, match=r"^action.gpio GPIO17: cannot be used \("
            ) as caught:
                action(sighting(1, changed=True))
            assert "\n" not in str(caught.value)


def test_without_gpiozero_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "watch.toml").write_text('[[action]]\ngpio = "GPIO17"\n')
    (tmp_path / "gpiozero.py").write_text("raise ModuleNotFoundError('x', name='gpiozero')\n")
    paths = os.environ.get("PYTHONPATH", "")
    done = run(
        *("-m", "edge", "watch", "--config", str(tmp_path / "watch.toml")),
        *("--source", str(HOTDOG)),
        env={"PYTHONPATH": f"{tmp_path}:{paths}"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    line = "edge-watch: action.gpio: needs gpiozero; sudo apt install python3-gpiozero"
    assert done.stderr.startswith(line) and done.stderr.count("\n") == 1
