"""The systemd unit, as systemd itself reads it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

UNIT = ROOT / "deploy" / "edge-watch.service"
NETWORK = ROOT / "deploy" / "network.conf"
CAMERA = ROOT / "deploy" / "network-camera.conf"
GPIO = ROOT / "deploy" / "gpio.conf"
MOST_EXPOSED = 17  # tenths, as systemd-analyze's threshold has it


def verify(content: str, root: Path, dropin: str = "") -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze verify on a unit in a root of its own, with its programs there."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: apt install systemd)")
    for name in (command(content)[0], "/bin/sh"):  # the shell reloads it
        program = root / name.lstrip("/")
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    units = root / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    (units / UNIT.name).write_text(content)
    (units / f"{UNIT.name}.d").mkdir()
    (units / f"{UNIT.name}.d" / NETWORK.name).write_text(dropin)
    # The root holds no other unit and no man page; what this one says is all that is judged.
    options = (f"--root={root}", "--man=no", "--recursive-errors=no")
    return subprocess.run(
        ["systemd-analyze", "verify", *options, UNIT.name],
        capture_output=True,
        text=True,
        timeout=60,
    )


def command(content: str) -> list[str]:
    (line,) = (line for line in content.splitlines() if line.startswith("ExecStart="))
    return line.removeprefix("ExecStart=").split()


def test_systemd_accepts_it_without_a_word(tmp_path: Path) -> None:
    done = verify(UNIT.read_text(), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("line", ["NoSuchOption=1", "WatchdogSec=soon"])
def test_the_check_sees_a_fault(tmp_path: Path, line: str) -> None:
    done = verify(UNIT.read_text().replace("Type=notify", f"Type=notify\n{line}"), tmp_path)
    assert done.returncode != 0
    assert UNIT.name in done.stderr


@pytest.mark.parametrize("dropin", [NETWORK, CAMERA, GPIO], ids=["network", "camera", "gpio"])
def test_systemd_accepts_its_network_without_a_word(tmp_path: Path, dropin: Path) -> None:
    done = verify(UNIT.read_text(), tmp_path, dropin.read_text())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_check_sees_a_fault_of_its_network(tmp_path: Path) -> None:
    done = verify(UNIT.read_text(), tmp_path, "[Service]\nIPAddressAllow=everywhere\n")
    assert f"{NETWORK.name}:2" in done.stderr


def test_by_itself_it_has_no_network() -> None:
    assert service()["IPAddressDeny"] == ["any"]
    assert service()["RestrictAddressFamilies"] == ["AF_UNIX AF_NETLINK"]
    assert service(NETWORK)["RestrictAddressFamilies"] == ["AF_INET AF_INET6"]


def test_a_secret_that_is_gone_is_no_reason_not_to_start() -> None:
    loaded = [line.partition(":")[0] for line in service(NETWORK)["LoadCredential"]]
    assert loaded == ["web-token", "mqtt-password", "notify-urls"]
    assert service(NETWORK)["SetCredential"] == [rf"{name}:\n" for name in loaded]
    assert service(CAMERA)["SetCredential"] == [r"camera-password:\n"]


def service(file: Path = UNIT) -> dict[str, list[str]]:
    """What a unit says of its service: every value of every key, in order."""
    said: dict[str, list[str]] = {}
    for line in file.read_text().partition("[Service]")[2].partition("[Install]")[0].splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            said.setdefault(key, []).append(value)
    return said


@pytest.mark.parametrize(
    "dropin",
    [
        "",
        NETWORK.read_text(),
        CAMERA.read_text(),
        "".join(p.read_text() for p in (NETWORK, CAMERA, GPIO)),
    ],
    ids=["alone", "network", "camera", "all"],
)
def test_its_exposure_is_low(tmp_path: Path, dropin: str) -> None:
    check_exposure(UNIT.read_text() + dropin, tmp_path)  # systemd-analyze reads one file


def check_exposure(content: str, folder: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: apt install systemd)")
    unit = folder / UNIT.name
    unit.write_text(content)
    options = ("--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager")
    done = subprocess.run(
        ["systemd-analyze", "security", *options, str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


def test_it_runs_edge_watch_on_the_installed_configuration() -> None:
    program, *arguments = command(UNIT.read_text())
    assert program == "/opt/edge-classify/current/bin/edge-watch"
    assert arguments == ["--config", "/etc/edge-classify/watch.toml"]


def test_a_damaged_installation_is_one_line(tmp_path: Path) -> None:
    (line,) = service()["ExecStartPre"]
    script = shlex.split(line)[2].replace("/opt/edge-classify/current", str(tmp_path / "current"))
    programs = tmp_path / "current" / "bin"
    programs.mkdir(parents=True)
    for name, content in (("edge-watch", "#!"), ("python", "#!")):
        (programs / name).write_text(content)
        (programs / name).chmod(0o755)
    check = ["sh", "-c", script]
    assert subprocess.run(check, timeout=60).returncode == 0
    (programs / "edge-watch").write_text("")  # as a power cut leaves it
    done = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "install.sh" in done.stderr


def instance_of(name: str) -> str:
    """The unit of an instance, as install.sh makes it of the main one."""
    code = f'here={ROOT}/deploy; . "$here/places.sh"; . "$here/instance.sh"; unit_of "$1" "$2"'
    command = ["sh", "-euc", code, "install.sh", name, str(UNIT)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_an_instance_is_the_same_unit_with_places_of_its_own(tmp_path: Path) -> None:
    template = tmp_path / "edge-watch@.service"
    template.write_text(instance_of("%i"))
    own, of_main = service(template), service()
    changed = {key for key in own if own[key] != of_main.get(key)}
    folders = {"StateDirectory", "RuntimeDirectory", "CacheDirectory"}
    assert changed == {"ExecStart", "User", "Environment"} | folders
    assert {own[key][0] for key in folders} == {"edge-classify-%i"}
    assert own["ExecStart"][0].endswith(" --config /etc/edge-classify/%i.toml")
    assert own["User"] == ["edge-watch-%i"] and "EDGE_INSTANCE=%i" in own["Environment"]
    assert set(of_main["Environment"]) < set(own["Environment"])


def test_systemd_accepts_an_instance_without_a_word(tmp_path: Path) -> None:
    done = verify(instance_of("door"), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_exposure_of_an_instance_is_low(tmp_path: Path) -> None:
    check_exposure(instance_of("door"), tmp_path)


def test_it_is_restarted_for_ever_but_not_with_a_wrong_configuration() -> None:
    said = service()
    assert "StartLimitIntervalSec=0" in UNIT.read_text().splitlines()
    assert said["Type"] == ["notify"]
    assert said["NotifyAccess"] == ["main"]
    assert said["Restart"] == ["always"]
    assert said["RestartSec"] == ["10"]
    assert said["RestartPreventExitStatus"] == ["2"]
    assert said["WatchdogSec"] == ["30"]
    assert "HUP" in said["ExecReload"][0]


def test_it_may_open_a_camera_and_no_other_device() -> None:
    said = service()
    assert said["SupplementaryGroups"] == ["video render"]
    assert said["DevicePolicy"] == ["closed"]
    assert said["DeviceAllow"] == [
        "char-video4linux rw",
        "char-media rw",
        "char-dma_heap rw",
        "/dev/vcio rw",
    ]
    assert said["ProtectClock"] == ["yes"]


@pytest.mark.parametrize(
    "setting",
    "PrivateDevices PrivateUsers PrivateNetwork ProcSubset MemoryDenyWriteExecute".split(),
)
def test_what_is_off_has_its_reason_written(setting: str) -> None:
    assert setting not in service()
    assert any(line.startswith(f"#   {setting}") for line in UNIT.read_text().splitlines())
