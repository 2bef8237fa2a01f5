"""The deployment's scripts, as far as they go without root; the rest is deploy/testbed's."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

DEPLOY = ROOT / "deploy"
SCRIPTS = ("install.sh", "uninstall.sh", "push.sh")


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(DEPLOY / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_names_every_option(name: str) -> None:
    done = script(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    taken = set(re.findall(r"(?m)^ +(?:-h \| )?(--[a-z-]+)\)", (DEPLOY / name).read_text()))
    assert taken - {"--help"} <= set(re.findall(r"--[a-z-]+", done.stdout))
    assert len(taken) >= 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("install.sh", "--nonsense"),
        ("install.sh", "--model"),
        ("install.sh", "--model", "no-such.tflite"),
        ("install.sh", "--offline", "no-such-folder"),
        ("install.sh", "--with", "web;reboot"),
        ("install.sh", "--with", "convert"),
        ("install.sh", "--source", "no-such-folder"),
        ("install.sh", "--snapshots", "relative"),
        ("install.sh", "--back", "--model", __file__),
        ("install.sh", "--instance"),
        ("install.sh", "--instance", "watch"),
        ("install.sh", "--instance", "Door"),
        ("install.sh", "--instance", "../door"),
        ("install.sh", "--instance", "a-name-of-17-chars"),
        ("install.sh", "--instance", "door", "--with", "web"),
        ("install.sh", "--instance", "door", "--back"),
        ("uninstall.sh", "--instance"),
        ("uninstall.sh", "--instance", "a b"),
        ("uninstall.sh", "--nonsense"),
        ("push.sh",),
        ("push.sh", "--hosts", "no-such-file"),
        ("push.sh", "--jobs", "0", "pi@one"),
        ("push.sh", "pi@one", "$(reboot)"),
        ("install.sh", "--config", "no-such.toml"),
        ("push.sh", "pi@raspberrypi", "--with", "$(reboot)"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    done = script(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--help" in done.stderr


def dry_run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run install.sh --dry-run with an empty wheel."""
    if not shutil.which("dpkg"):
        pytest.skip("this is no Debian")
    if Path("/opt/edge-classify").exists():
        pytest.skip("the service is installed here")
    wheel = folder / "edge_classify-7.8.9-py3-none-any.whl"
    wheel.touch()
    options = ("--dry-run", "--offline", str(folder), "--wheel", str(wheel), *options)
    return script("install.sh", *options)


def test_a_dry_run_says_each_step_and_changes_nothing(tmp_path: Path) -> None:
    configured = Path("/etc/edge-classify").exists()  # as edge-benchmark --tune leaves it
    done = dry_run(tmp_path, "--no-service")
    if done.returncode == 1:
        pytest.skip(done.stderr.splitlines()[-1])  # no room, or no machine for it
    assert done.returncode == 0
    assert "dry run: building /opt/edge-classify/versions/7.8.9-" in done.stderr
    assert "dry run: switching /opt/edge-classify/current to 7.8.9-" in done.stderr
    assert not Path("/opt/edge-classify").exists()
    assert Path("/etc/edge-classify").exists() == configured


def test_without_systemd_nothing_is_begun(tmp_path: Path) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here")
    done = dry_run(tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "--no-service" in done.stderr


def shell(code: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code with install.sh's functions, as install.sh would."""
    sourced = "".join(f'. "$here/{name}.sh"; ' for name in ("places", "machine", "pip", "version"))
    command = ["sh", "-euc", f"here={DEPLOY}; {sourced}{code}", "install.sh", *words]
    environment = dict(os.environ) | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_the_configuration_of_an_instance_names_its_own_places() -> None:
    code = f'here={DEPLOY}; . "$here/places.sh"; . "$here/instance.sh"; '
    command = ["sh", "-euc", f"{code} use_instance door; default_config", "install.sh"]
    text = subprocess.run(command, capture_output=True, text=True).stdout
    shipped = (DEPLOY / "watch.toml").read_text()
    assert tomllib.loads(text) == tomllib.loads(shipped)
    assert text.count("\n") == shipped.count("\n")
    assert "sudo systemctl restart edge-watch@door\n" in text and "watch.toml" not in text
    assert len(re.findall(r"/var/lib/edge-classify\b(?!-door)", text)) == 0
    assert "/etc/edge-classify/door-camera-password" in text


def pack(wheel: Path, **changes: bytes | None) -> None:
    """Write a wheel of this checkout, with some files changed, added or (None) left out."""
    members = {
        f"{place}/{path.relative_to(ROOT / top).as_posix()}": path.read_bytes()
        for top, place in (("edge", "edge"), ("convert", "convert"), ("models", "edge/models"))
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    members |= {"edge_classify-1.0.dist-info/METADATA": b"Version: 1.0\n"} | changes
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 0),
        ({"edge/errors.py": b"stale"}, 1),
        ({"edge/errors.py": None}, 1),
        ({"edge/gone.py": b""}, 1),
        ({"edge/models/hotdog.tflite": b"an older model"}, 1),
    ],
)
def test_a_stale_wheel_does_not_beat_the_checkout(
    changes: dict[str, bytes | None], status: int, tmp_path: Path
) -> None:
    wheel = tmp_path / "edge_classify-1.0-py3-none-any.whl"
    pack(wheel, **changes)
    assert shell('is_of_checkout "$1"', str(wheel)).returncode == status


METADATA = b"""Requires-Dist: numpy<2,>=1.24; sys_platform == 'linux'
Requires-Dist: pillow>=9.4
Requires-Dist: ai-edge-litert>=2.1; platform_machine == 'x86_64'
Provides-Extra: web
Requires-Dist: tornado>=6.4; extra == 'web'
Provides-Extra: mqtt
Requires-Dist: paho-mqtt>=2.0; extra == 'mqtt'
"""


def test_tflite_runtime_does_where_there_is_no_other_to_install(tmp_path: Path) -> None:
    wheel = tmp_path / "edge_classify-1.0-py3-none-any.whl"
    pack(wheel, **{"edge_classify-1.0.dist-info/METADATA": METADATA})
    done = shell("wheel=$1 with=mqtt; needs_without_litert", str(wheel))
    assert done.stdout.splitlines() == [
        "numpy<2,>=1.24;  sys_platform == 'linux'",
        "pillow>=9.4",
        "paho-mqtt>=2.0",
    ]


@pytest.mark.parametrize(
    ("machine", "architecture", "python", "runtimes"),
    [
        ("x86_64", "amd64", "3.11", {"ai-edge-litert", "tflite-runtime"}),
        ("x86_64", "amd64", "3.13", {"ai-edge-litert"}),
        ("aarch64", "arm64", "3.11", {"ai-edge-litert", "tflite-runtime"}),
        ("aarch64", "arm64", "3.13", {"ai-edge-litert"}),
        ("armv7l", "armhf", "3.11", {"tflite-runtime"}),
        ("aarch64", "armhf", "3.11", {"tflite-runtime"}),  # 32 bits on a 64-bit kernel
    ],
)
def test_install_chooses_both_runtimes_where_both_have_wheels(
    machine: str, architecture: str, python: str, runtimes: set[str]
) -> None:
    done = shell(f"architecture={architecture} offline='' extras=web; wanted_extras")
    extras = done.stdout.strip().split(",")
    assert ("litert" in extras, "web" in extras) == (architecture != "armhf", True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [project["dependencies"], *(project["optional-dependencies"][one] for one in extras)]
    there = {"sys_platform": "linux", "platform_machine": machine, "python_version": python}
    wanted = [
        need
        for need in map(Requirement, chain(*needed))
        if need.marker is None or need.marker.evaluate(there)
    ]
    assert {need.name for need in wanted} & {"ai-edge-litert", "tflite-runtime"} == runtimes
    (numpy,) = (need for need in wanted if need.name == "numpy")
    assert numpy.specifier.contains("2.1") == ("tflite-runtime" not in runtimes)


def test_pip_gets_its_sources_and_nothing_else(tmp_path: Path) -> None:
    if not list(Path("/usr/share/python-wheels").glob("pip-*.whl")):
        pytest.skip("python3-pip-whl is not installed (Debian: apt install python3-venv)")
    (tmp_path / "home" / ".config" / "pip").mkdir(parents=True)
    (tmp_path / "home" / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nuser = true\nrequire-virtualenv = true\ntrusted-host = a.test\n b.test\n"
        "[install]\ntarget = /nowhere\n"
    )
    (tmp_path / "work").mkdir()
    done = shell(
        'work=$1 offline=""; prepare_pip; cat "$work/pip-sources"',
        str(tmp_path / "work"),
        HOME=str(tmp_path / "home"),
        PIP_INDEX_URL="https://index.test/it's",
        PIP_PREFIX="/nowhere",
    )
    assert done.returncode == 0, done.stderr
    names = re.findall(r"(?m)^export PIP_([A-Z_]+)=", done.stdout)
    assert not {"USER", "TARGET", "PREFIX", "REQUIRE_VIRTUALENV"} & set(names)
    assert "export PIP_TRUSTED_HOST='a.test b.test'" in done.stdout.splitlines()
    command = ["sh", "-c", f'{done.stdout}\nprintf %s "$PIP_INDEX_URL"']
    url = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert url == "https://index.test/it's"


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version as pip leaves it, of a small package that calls itself edge-classify."""
    target = tmp_path / "versions" / "1.0-abc"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True)
    (site,) = target.glob("lib/python3*/site-packages")
    info = site / "edge_classify-1.0.dist-info"
    for folder in (info, site / "edge"):
        folder.mkdir()
    (site / "edge" / "__init__.py").write_text("def greet():\n    import json\n    return 7\n")
    (target / "bin" / "edge-greet").write_text("pip's own")
    (target / "bin" / "edge-greet").chmod(0o755)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: edge-classify\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[console_scripts]\nedge-greet = edge:greet\n")
    (info / "RECORD").write_text("edge/__init__.py,,\n../../../bin/edge-greet,sha256=old,9\n")
    return target


def write_commands(version: Path) -> None:
    done = shell('target=$1; write_commands; cat "$1/bin/edge-greet"', str(version))
    assert done.returncode == 0, done.stderr


def greet(version: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(version / "bin" / "edge-greet")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd)


def test_a_command_runs_what_the_package_names(version: Path, tmp_path: Path) -> None:
    write_commands(version)
    (tmp_path / "json.py").write_text("raise SystemExit('the current folder')")
    assert greet(version, tmp_path).returncode == 7


def test_a_command_is_recorded(version: Path) -> None:
    write_commands(version)
    (record,) = version.glob("lib/python3*/site-packages/*.dist-info/RECORD")
    content = (version / "bin" / "edge-greet").read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    line = f"../../../bin/edge-greet,sha256={digest},{len(content)}"
    assert record.read_text().splitlines() == ["edge/__init__.py,,", line]


def test_a_command_for_another_python_says_what_to_run(version: Path, tmp_path: Path) -> None:
    write_commands(version)
    (site,) = version.glob("lib/python3*/site-packages")
    site.rename(site.with_name("of-another-python"))
    done = greet(version, tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("edge-greet: was installed for Python 3.")
    assert done.stderr.endswith("; sudo sh /opt/edge-classify/current/deploy/install.sh\n")


def test_what_is_copied_is_there_and_all_that_install_needs() -> None:
    files = set((DEPLOY / "files").read_text().split())
    assert {"install.sh", "uninstall.sh", "edge-watch.service", "watch.toml"} <= files
    assert all((DEPLOY / file).is_file() for file in files)
    for name in files:
        sourced = re.findall(r'(?m)^\. "\$here/([^"]+)"', (DEPLOY / name).read_text())
        assert set(sourced) <= files, name


def test_a_checkout_on_windows_keeps_its_line_ends() -> None:
    names = [*(DEPLOY / "files").read_text().split(), "push.sh", "files"]
    command = ["git", "check-attr", "eol", *(f"deploy/{name}" for name in names)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode:
        pytest.skip("this is no git checkout")
    assert all(line.endswith(": eol: lf") for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == len(names)


TAKEN = re.findall(
    r"(?m)^ *take (\w+) (\d+) (\S+) '(.+)'$", (DEPLOY / "testbed" / "test-card.sh").read_text()
)


@pytest.mark.parametrize(("name", "count", "document", "heading"), TAKEN)
def test_the_documents_have_the_commands_that_are_tried_on_a_card(
    name: str, count: str, document: str, heading: str
) -> None:
    """make test-card runs them as they stand; it is run on demand, and documents change daily."""
    _, found, rest = (DEPLOY.parent / document).read_text().partition(f"\n{heading}")
    assert found, f"{document} has no {heading}"
    _, block, *_ = rest.split("```")
    assert len(block.strip().splitlines()) == int(count), block


@pytest.mark.parametrize(
    ("source", "with_network"),
    [
        ("camera", False),
        ("/dev/video0", False),
        ("/srv/photos", False),
        ("rtsp://pi@10.0.0.2/a", True),
        ("http://10.0.0.2/snap.jpg", True),
    ],
)
def test_the_unit_gets_what_its_source_needs(
    tmp_path: Path, source: str, with_network: bool
) -> None:
    (tmp_path / "watch.toml").write_text((DEPLOY / "watch.toml").read_text())
    code = (
        f'work={tmp_path} extras="" snapshots="" dry_run="" candidate={tmp_path}/watch.toml; '
        '. "$here/settings.sh"; . "$here/unit.sh"; set_setting source "$1"; render_dropins'
    )
    done = shell(code, source)
    assert (done.returncode, done.stderr) == (0, "")
    assert f'source = "{source}"' in (tmp_path / "watch.toml").read_text()
    dropin = tmp_path / "dropins" / "25-camera.conf"
    assert dropin.exists() == with_network
    if with_network:
        assert dropin.read_text() == (DEPLOY / "network-camera.conf").read_text()


@pytest.mark.parametrize("instance", ["", "door"])
def test_a_pin_gets_its_dropin_and_a_folder_of_its_own(tmp_path: Path, instance: str) -> None:
    """lgpio writes into the folder that LG_WD names: the service's own, or it cannot be loaded."""
    (tmp_path / "watch.toml").write_text('[[action]]\ngpio = "GPIO17"\n')
    code = (
        f'work={tmp_path} extras="" snapshots="" no_service=yes; '
        '. "$here/settings.sh"; . "$here/unit.sh"; . "$here/instance.sh"; '
        '[ -z "$1" ] || use_instance "$1"; render_dropins'
    )
    done = shell(code, instance)
    assert (done.returncode, done.stderr) == (0, "")
    shipped = (DEPLOY / "gpio.conf").read_text()
    folder = "/run/edge-classify" + (instance and f"-{instance}")
    expected = shipped.replace("LG_WD=/run/edge-classify", f"LG_WD={folder}")
    assert (tmp_path / "dropins" / "35-gpio.conf").read_text() == expected
    assert f"Environment=LG_WD={folder}\n" in expected


def parts_after(tmp_path: Path, before: str, *arguments: str) -> str:
    """Return what install.sh makes of --with, or how it rejects it."""
    (tmp_path / "with").write_text(f"{before}\n")
    text = (DEPLOY / "install.sh").read_text()
    functions = text[text.index("wrong() {") : text.index("# Without a camera the first run")]
    variables = "model='' new_config='' wheel='' extras='' offline='' source='' snapshots=''; "
    variables += f"back='' versions=''; record={tmp_path}\n"
    done = shell(f'{variables}{functions}\nread_options "$@"; echo "$extras"', *arguments)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("before", "arguments", "extras"),
    [
        ("", ("--source", "rtsp://10.0.0.2/a"), "video"),
        ("", ("--source", "rtsp://10.0.0.2/a", "--with", "web"), "web,video"),
        ("", ("--source", "rtsp://10.0.0.2/a", "--with", "video,web"), "video,web"),
        ("", ("--source", "http://10.0.0.2/a", "--with", "web"), "web"),
        ("", ("--source", "/dev/video0"), ""),
        ("none", ("--with", "sun"), "sun"),
        ("web,mqtt", (), "web,mqtt"),
        ("web,mqtt", ("--with", "mqtt,sun"), "web,mqtt,sun"),
        ("web,mqtt", ("--with", "none"), ""),
        ("web", ("--with", "none", "--source", "rtsp://10.0.0.2/a"), "video"),
    ],
)
def test_parts_stay_and_rtsp_brings_the_one_that_decodes_it(
    tmp_path: Path, before: str, arguments: tuple[str, ...], extras: str
) -> None:
    assert parts_after(tmp_path, before, *arguments) == f"{extras}\n"


def test_install_takes_each_part_that_an_error_names(tmp_path: Path) -> None:
    text = "".join(path.read_text() for path in (DEPLOY.parent / "edge").rglob("*.py"))
    named = set(re.findall(r"""needing\("(\w+)"\)|install\.sh --with (\w+)""", text))
    parts = ",".join(sorted(one or other for one, other in named))
    assert parts == "mqtt,notify,sun,video,web"
    assert parts_after(tmp_path, "", "--with", parts) == f"{parts}\n"
