"""The Debian package as it is built; what apt does with it is deploy/testbed's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this is no Debian")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of an empty wheel and an empty runtime, unpacked with its scripts."""
    folder = tmp_path_factory.mktemp("deb")
    shutil.copytree(ROOT / "deploy", folder / "checkout" / "deploy")
    wheel = folder / "edge_classify-7.8.9-py3-none-any.whl"
    runtime = folder / "wheels" / "runtime-1-py3-none-any.whl"
    runtime.parent.mkdir()
    for file in (wheel, runtime):
        file.touch()
    build = folder / "checkout" / "deploy" / "deb" / "build.sh"
    command = ["sh", str(build), "--wheel", str(wheel), "--wheels", str(runtime.parent), "arm64"]
    environment = os.environ | {"DEBFULLNAME": "A. Maintainer", "DEBEMAIL": "a@example.org"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout == "dist/edge-classify_7.8.9_arm64.deb\n", done.stderr
    built = folder / "checkout" / done.stdout.strip()
    sums = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=built.parent)
    assert sums.returncode == 0
    subprocess.run(["dpkg-deb", "--raw-extract", str(built), str(folder / "root")], check=True)
    return folder / "root"


def test_it_holds_all_that_install_needs(package: Path) -> None:
    place = package / "usr/lib/edge-classify"
    files = (ROOT / "deploy" / "files").read_text().split()
    assert {file.name for file in place.iterdir()} == {
        *files,
        "files",
        "wheels",
        "edge_classify-7.8.9-py3-none-any.whl",
    }
    assert (place / "wheels" / "runtime-1-py3-none-any.whl").exists()
    assert (package / "usr/bin/edge-watch").readlink() == Path(
        "/opt/edge-classify/current/bin/edge-watch"
    )


def test_it_names_itself(package: Path) -> None:
    control = (package / "DEBIAN/control").read_text()
    for line in ("Version: 7.8.9", "Architecture: arm64", "Maintainer: A. Maintainer <a@example"):
        assert line in control
    assert "@" not in control.replace("a@example.org", "")


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_its_scripts_are_whole(package: Path, name: str) -> None:
    script = package / "DEBIAN" / name
    assert os.access(script, os.X_OK)
    assert subprocess.run(["sh", "-n", str(script)]).returncode == 0
    # upgrade, and an aborted one: each leaves the installed version alone
    done = subprocess.run(["sh", str(script), "failed-upgrade"], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_purges_needs_no_other_file(package: Path) -> None:
    script = (package / "DEBIAN/postrm").read_text()
    assert '. "$here' not in script and "@UNINSTALL@" not in script
    assert "\nopt=/opt/edge-classify\n" in script and "\nremove_state\n" in script
