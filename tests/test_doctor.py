"""What edge-doctor finds: here, on trees as Raspberry Pis have them, and where things are broken.

The camera alone is played: a package called picamera2 that says, or suffers, what a real one
does.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import ROOT, run, uncovered
from trees import CGROUPS_V1, lay_out, raspberry_pi, vcgencmd

from convert.tflite.embed import embed
from edge.classifier.metadata import read_metadata
from edge.commands import doctor as doctor_command
from edge.doctor import camera, finding, installation, machine, service
from edge.doctor.checks import CHECKS, examine
from edge.doctor.finding import (
    FAULT,
    NOT_HERE,
    OK,
    WARNING,
    Context,
    Finding,
    try_code,
    try_command,
)
from edge.errors import library_remedy
from edge.names import RUNTIMES

DOCTOR = ("-m", "edge", "doctor")
HOTDOG = ROOT / "tests" / "data" / "hotdog.jpg"
SMALL = ROOT / "models" / "hotdog-small.tflite"
STATUSES = (OK, WARNING, FAULT, NOT_HERE)
FULLY_CONNECTED = 9
NOBODY = 65534


def doctor(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return run(*DOCTOR, *map(str, arguments), **options)


def checks_of(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    assert "Traceback" not in done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def changed(out: Path, *, golden: bool = True, version: int | None = None) -> Path:
    """The small shipped model without its golden vectors, or with newer dense layers."""
    content = SMALL.read_bytes()
    told = read_metadata(content, SMALL)
    edge = {key: value for key, value in told.edge.items() if golden or key != "golden"}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for code in model.operatorCodes:
        if code.builtinCode == FULLY_CONNECTED and version:
            code.version = version
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    assert told.normalization
    written = embed(
        bytes(builder.Output()),
        name="changed",
        labels=told.labels,
        normalization=told.normalization,
        edge=edge,
    )
    out.write_bytes(written)
    return out


def test_text_has_a_line_for_each_check_and_ends_with_the_count() -> None:
    done = doctor("-m", SMALL)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    checks, blank = lines[: len(CHECKS)], lines[len(CHECKS)]
    assert blank == ""
    for line, name in zip(checks, CHECKS, strict=True):
        assert line.startswith(tuple(status.ljust(10) for status in STATUSES))
        assert line[10:].startswith(name.ljust(15))
    faults = sum(line.startswith(FAULT) for line in checks)
    assert lines[-1].startswith(f"{faults} fault")
    assert done.returncode == (1 if faults else 0)
    assert "\x1b" not in done.stdout


@pytest.fixture(scope="module")
def as_json() -> subprocess.CompletedProcess[str]:
    """A run here, as JSON."""
    return doctor("-m", SMALL, "--format", "json")


def test_json_has_a_remedy_for_what_is_wrong_and_for_nothing_else(
    as_json: subprocess.CompletedProcess[str],
) -> None:
    checks = checks_of(as_json)
    assert list(checks) == list(CHECKS)
    for check in checks.values():
        assert list(check) == ["name", "status", "found", "remedy"]
        assert check["found"]
        assert bool(check["remedy"]) == (check["status"] in (WARNING, FAULT))
    record = json.loads(as_json.stdout)
    for count, status in (("faults", FAULT), ("warnings", WARNING)):
        assert record[count] == sum(c["status"] == status for c in checks.values())
    assert as_json.returncode == (1 if record["faults"] else 0)


def test_here_the_model_runtime_and_packages_are_in_order(
    as_json: subprocess.CompletedProcess[str],
) -> None:
    checks = checks_of(as_json)
    for name in ("python", "system", "packages", "runtime", "model"):
        assert checks[name]["status"] == OK, checks[name]
    assert str(SMALL) in checks["model"]["found"]
    assert "2 labels (hotdog, nothotdog), 4 golden vectors hold on" in checks["model"]["found"]
    assert checks["operators"]["status"] == OK


@pytest.mark.parametrize(
    "content, fault",
    [
        (None, "no such model file"),
        (b"", "is empty"),
        (b"not a model", "is not a TFLite model"),
        (SMALL.read_bytes()[:300_000], "is truncated or damaged"),
    ],
)
def test_a_bad_model_stops_the_work(tmp_path: Path, content: bytes | None, fault: str) -> None:
    path = tmp_path / "bad.tflite"
    if content is not None:
        path.write_bytes(content)
    finding = service.model(Context(model=path))
    assert finding.status == FAULT
    assert fault in finding.found
    assert finding.remedy
    assert service.operators(Context(model=path)).status == NOT_HERE  # once is enough


def test_a_damaged_model_is_exit_1_and_its_remedy_comes_last(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(SMALL.read_bytes()[:300_000])
    done = doctor("-m", path)
    assert (done.returncode, done.stderr) == (1, "")
    fault, remedy = done.stdout.splitlines()[-3:-1]
    assert fault == f"fault: model: {path}: is truncated or damaged"
    assert remedy == "    copy the file again"


def without_metadata() -> bytes:
    """The small model without labels and normalization."""
    model = schema.ModelT.InitFromPackedBuf(SMALL.read_bytes(), 0)
    model.metadata = None
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_model_without_golden_vectors_is_a_warning(tmp_path: Path) -> None:
    finding = service.model(Context(model=changed(tmp_path / "m.tflite", golden=False)))
    assert finding.status == WARNING
    assert "0 golden vectors" in finding.found
    assert "python -m convert" in finding.remedy


def test_a_runtime_that_is_too_old_for_the_operators_is_told_of(tmp_path: Path) -> None:
    pytest.importorskip("tflite_runtime")
    path = changed(tmp_path / "new.tflite", version=12)
    finding = service.operators(Context(model=path))
    assert finding.status == WARNING  # the other runtime takes it
    fault = "tflite-runtime 2.14.0 is too old for it (FULLY_CONNECTED version 12)"
    assert fault in finding.found
    assert service.model(Context(model=path)).status == OK
    unknown = changed(tmp_path / "newest.tflite", version=99)
    assert service.operators(Context(model=unknown)).status == FAULT


def test_the_model_is_the_configurations_unless_one_is_named(tmp_path: Path) -> None:
    path = changed(tmp_path / "mine.tflite")
    told = f'model = "{path}"\n[camera]\nwidth = 640\n'
    lay_out(tmp_path, {"etc/edge-classify/watch.toml": told})
    assert f"{path}, sha256" in service.model(Context(root=tmp_path)).found
    assert service._model(Context(root=tmp_path, model=SMALL)) == SMALL
    for nothing in ('model = ""', "model = 3", "model = ["):
        lay_out(tmp_path, {"etc/edge-classify/watch.toml": nothing})
        assert service._model(Context(root=tmp_path)) is None


def test_a_configuration_that_edge_watch_refuses_stops_the_work(tmp_path: Path) -> None:
    assert service.configuration(Context(root=tmp_path)).status == NOT_HERE
    lay_out(tmp_path, {"etc/edge-classify/watch.toml": "fps = ["})
    finding = service.configuration(Context(root=tmp_path))
    assert finding.status == FAULT
    assert "watch.toml" in finding.remedy


def test_a_check_that_fails_is_a_fault_and_the_others_go_on() -> None:
    def broken(context: Context) -> Finding:
        raise RuntimeError("two\nlines")

    found = dict(examine(Context(), {"first": broken, "second": lambda _: Finding(OK, "a\tb")}))
    assert found["first"].status == FAULT
    assert "RuntimeError: two\\nlines" in found["first"].found
    assert found["first"].remedy
    assert found["second"] == Finding(OK, "a\\tb")


def test_what_takes_too_long_may_be_the_machines_fault() -> None:
    slow = Finding(FAULT, "does not load (did not end within 60 s)", "pip install it")
    ((_, finding),) = examine(Context(), {"slow": lambda _: slow})
    assert finding.remedy.startswith("stop what uses the processor")
    assert finding.remedy.endswith("pip install it")


def test_it_runs_where_nothing_is_installed_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "edge").symlink_to(ROOT / "edge")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "from edge.commands.doctor import main; sys.exit(main(['--format', 'json']))"
    )
    done = run("-S", "-c", code, cwd=tmp_path)
    assert done.returncode == 1
    checks = checks_of(done)
    faults = {name for name, check in checks.items() if check["status"] == FAULT}
    assert {"packages", "runtime", "model"} <= faults
    assert "numpy does not load (ModuleNotFoundError" in checks["packages"]["found"]
    assert checks["operators"]["status"] == NOT_HERE


def test_the_commands_own_process_loads_neither_numpy_nor_a_runtime() -> None:
    code = "import sys, edge.commands.doctor; print(*sys.modules)"
    done = run("-c", code, env=uncovered())
    assert not {"numpy", "PIL", "flatbuffers", "tomllib"} & set(done.stdout.split())


# Child processes.


def test_what_a_child_says_last_counts() -> None:
    outcome = try_code("print('chatter'); print(6 * 7)", 30)
    assert (outcome.said, outcome.reason) == ("42", "")


@pytest.mark.parametrize(
    "code, reason",
    [
        ("import os; os.abort()", "crashed (SIGABRT)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "crashed (SIGILL)"),
        ("raise ValueError('one\\n  two')", "ValueError: one two"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys; sys.exit(3)", "exit status 3"),
        ("import sys; sys.exit('said')", "said"),
    ],
)
def test_how_a_child_fails_is_one_line(code: str, reason: str) -> None:
    assert try_code(code, 30).reason == reason


def test_a_long_reason_is_cut() -> None:
    assert len(try_code("raise ValueError('x' * 5000)", 30).reason) < 300


def test_a_child_that_hangs_is_killed_with_what_it_began(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        "import pathlib, subprocess; process = subprocess.Popen(['sleep', '600']); "
        f"pathlib.Path({str(mark)!r}).write_text(str(process.pid)); process.wait()"
    )
    started = time.monotonic()
    outcome = try_code(code, 5)
    assert outcome.reason == "did not end within 5 s"
    assert time.monotonic() - started < 15
    deadline = time.monotonic() + 10
    while alive(int(mark.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_is_not_there_is_one_line() -> None:
    assert "does not start" in try_command(["no-such-program"], 5).reason


def test_an_interrupt_is_exit_130_and_leaves_no_child() -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, *DOCTOR], cwd=ROOT, text=True, **pipes) as process:
        while not process.stdout.readline().startswith(OK + " " * 8 + "venv"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)  # packages are being tried
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


# The machine.


def test_a_healthy_raspberry_pi(tmp_path: Path) -> None:
    root = raspberry_pi(tmp_path, 4, cgroups="cpu io memory pids")
    context = Context(root=root)
    assert machine.governor(context) == Finding(OK, "ondemand")
    assert machine.throttling(context) == Finding(OK, "none")
    assert machine.temperature(context) == Finding(OK, "48 Celsius")
    assert machine.memory(context).status == OK
    assert machine.memory_limits(context).status == OK
    said = machine.machine(context)
    assert said == Finding(OK, "Raspberry Pi 4 Model B Rev 1.4, 4 cores at 600 of 1800 MHz")


def test_a_raspberry_pi_in_trouble(tmp_path: Path) -> None:
    root = raspberry_pi(tmp_path, 3, throttled="50005", celsius="84.1", governor="powersave")
    context = Context(root=root)
    assert "echo ondemand | sudo tee" in machine.governor(context).remedy
    throttling = machine.throttling(context)
    assert throttling.status == WARNING
    both = "under voltage, throttled"
    assert throttling.found == f"now: {both}; since boot: {both}"
    assert "power supply" in throttling.remedy
    assert machine.temperature(context).status == WARNING


def test_heat_without_under_voltage_is_no_matter_of_the_supply(tmp_path: Path) -> None:
    root = raspberry_pi(tmp_path, 5)
    vcgencmd(root, "echo throttled=0x80000")
    finding = machine.throttling(Context(root=root))
    assert finding.found == "since boot: soft limit"
    assert "fan" in finding.remedy


def test_powersave_is_no_fault_of_intels_driver(tmp_path: Path) -> None:
    root = raspberry_pi(tmp_path, 4, governor="powersave")
    lay_out(root, {"sys/devices/system/cpu/cpufreq/policy0/scaling_driver": "intel_pstate\n"})
    assert machine.governor(Context(root=root)).status == OK


@pytest.mark.parametrize("place", ["boot/firmware/cmdline.txt", "boot/cmdline.txt"])
def test_the_memory_controllers_remedy_names_the_file_that_is_there(
    tmp_path: Path, place: str
) -> None:
    root = lay_out(raspberry_pi(tmp_path, 4), {place: "console=tty1 rootwait\n"})
    finding = machine.memory_limits(Context(root=root))
    assert finding.status == WARNING
    assert f"/{place} && sudo reboot" in finding.remedy
    # The remedy is a command: run, it does what it says.
    edit = finding.remedy.removeprefix("sudo ").partition(" && ")[0].replace(" /", f" {root}/")
    subprocess.run(edit, shell=True, check=True)
    assert (root / place).read_text() == "console=tty1 rootwait cgroup_enable=memory\n"
    assert "full-upgrade" in machine.memory_limits(Context(root=root)).remedy


def test_memory_limits_where_there_are_no_groups_and_in_the_older_hierarchy(tmp_path: Path) -> None:
    assert machine.memory_limits(Context(root=tmp_path)).status == NOT_HERE
    lay_out(tmp_path, {"proc/cgroups": CGROUPS_V1.format(1)})
    assert machine.memory_limits(Context(root=tmp_path)).status == OK


@pytest.mark.parametrize("available_mb, status", [(300, OK), (150, WARNING), (30, FAULT)])
def test_the_service_needs_memory(tmp_path: Path, available_mb: int, status: str) -> None:
    root = raspberry_pi(tmp_path, 3, available_kb=str(available_mb * 1000))
    assert machine.memory(Context(root=root)).status == status


def file_system(*, free: int = 10**9, names: int = 1000, flags: int = 0) -> os.statvfs_result:
    """What statvfs says of a file system with blocks of 1 byte."""
    return os.statvfs_result((1, 1, 10**10, free, free, 10**6, names, names, flags, 255))


@pytest.mark.parametrize(
    "status, expected, found",
    [
        (file_system(), OK, "1000 MB free at /data"),
        (file_system(free=200_000_000), WARNING, "200 MB free"),
        (file_system(free=9_000_000), FAULT, "9 MB free"),
        (file_system(names=0), FAULT, "no free inodes at"),
        (file_system(flags=os.ST_RDONLY), FAULT, "is mounted read-only"),
    ],
)
def test_a_disk_has_room(status: os.statvfs_result, expected: str, found: str) -> None:
    finding = machine.judge_disk(Path("/data"), status)
    assert finding.status == expected
    assert found in finding.found


def test_a_full_tmp_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    real = os.statvfs

    def statvfs(place: Path) -> os.statvfs_result:
        full = place == tmp_path / "tmp"
        return os.statvfs_result((4096, 4096, 9, 0, 0, 9, 9, 9, 0, 255)) if full else real(place)

    monkeypatch.setattr(os, "statvfs", statvfs)
    finding = machine.disk(Context(root=tmp_path))
    assert finding.status == FAULT
    assert finding.found == f"0 MB free at {tmp_path}/tmp"


def test_the_end_of_a_long_error_counts_and_its_library_is_named() -> None:
    library = "libf77blas.so.3: cannot open shared object file: No such file or directory"
    code = f"raise ImportError('Importing the numpy C-extensions failed. ' * 40 + {library!r})"
    reason = try_code(code, 60).reason
    assert reason.startswith("... ") and reason.endswith(library)
    assert library_remedy(reason) == "sudo apt install libatlas3-base"
    assert "apt-file search libx.so.7" in library_remedy(
        "libx.so.7: cannot open shared object file"
    )
    assert library_remedy("No module named 'numpy'") == ""


def test_a_virtual_environment_is_advised_before_apts_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finding, "is_apts_python", lambda: True)
    advice = finding.pip("install numpy")
    assert advice.index("-m venv --system-site-packages") < advice.index("--break-system-packages")
    assert finding.pip("uninstall -y numpy").startswith(sys.executable)


@pytest.mark.parametrize("command", ["classify", "watch", "benchmark"])
@pytest.mark.parametrize("broken", ["No module named 'numpy'", "libf77blas.so.3: cannot open"])
def test_without_numpy_a_command_names_the_doctor(
    command: str, broken: str, tmp_path: Path
) -> None:
    lay_out(tmp_path, {"numpy/__init__.py": f"raise ImportError({'x' * 500 + broken!r})"})
    options = {"watch": ["--check"], "classify": [HOTDOG], "benchmark": []}[command]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = run("-m", "edge", command, *options, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edge-{command}: cannot be imported (... ")
    assert line.endswith(f"{broken}); edge-doctor")


def test_the_disk_of_a_state_folder_that_is_not_there_yet_is_the_one_around(tmp_path: Path) -> None:
    assert f"free at {tmp_path}" in machine.disk(Context(root=tmp_path)).found


# Python and its packages.


@pytest.mark.parametrize(
    "bits, kernel, python, status",
    [
        (64, "aarch64", (3, 13), OK),
        (32, "aarch64", (3, 11), WARNING),  # a 32-bit system under a 64-bit kernel
        (32, "armv7l", (3, 11), WARNING),
        (32, "armv7l", (3, 13), FAULT),
        (32, "armv6l", (3, 11), FAULT),
    ],
)
def test_where_runtimes_exist(bits: int, kernel: str, python: tuple[int, ...], status: str) -> None:
    finding = installation.judge_userland(bits, kernel, python)
    assert finding.status == status
    assert bool(finding.remedy) == (status != OK)


def package(folder: Path, name: str, code: str = "", version: str = "") -> None:
    """A package with this code in its folder, and with a record of its version."""
    if code:
        lay_out(folder, {f"{name}/__init__.py": code})
    if version:
        record = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        lay_out(folder, {f"{name}-{version}.dist-info/METADATA": record})


@pytest.mark.parametrize(("bits", "is_named"), [(64, True), (32, False)])
def test_the_faster_runtime_is_named_where_it_exists(
    bits: int, is_named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, {"tflite_runtime/interpreter.py": "", "tflite_runtime/__init__.py": ""})
    package(tmp_path, "tflite_runtime", version="2.14.0")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(p for p in sys.path if "site-" not in p)])
    monkeypatch.setattr(installation, "RUNTIMES", {"tflite": "tflite_runtime"})
    monkeypatch.setattr(installation, "_numpy", lambda: "1.26.4")
    monkeypatch.setattr(installation.board, "userland_bits", lambda: bits)
    finding = installation.runtimes(Context())
    assert finding.status == OK
    assert ("install ai-edge-litert" in finding.found) == is_named


def test_a_runtime_that_does_not_load_is_a_warning_beside_one_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "tflite_runtime", "raise ImportError('libpython3.9.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    finding = installation.runtimes(Context())
    assert finding.status == WARNING
    assert "does not load (ImportError: libpython3.9.so: cannot open)" in finding.found


def test_a_runtime_that_kills_the_process_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"  # of a newer processor
    for module in RUNTIMES.values():
        package(tmp_path, module, crash)
    monkeypatch.syspath_prepend(tmp_path)
    finding = installation.runtimes(Context())
    assert finding.status == FAULT
    assert finding.found.count("crashed (SIGILL)") == 2
    assert "pip install" in finding.remedy


def test_numpy_2_beside_tflite_runtime_is_what_the_remedy_mends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "numpy", version="2.1.0")
    package(tmp_path, "tflite_runtime", version="2.14.0")
    lay_out(tmp_path, {"tflite_runtime/__init__.py": "", "tflite_runtime/interpreter.py": ""})
    monkeypatch.syspath_prepend(tmp_path)
    finding = installation.runtimes(Context(root=tmp_path))
    assert "built for numpy 1, and would crash with numpy 2.1.0" in finding.found
    assert finding.remedy.endswith("install --upgrade 'numpy<2'")
    system = tmp_path / "usr/lib/python3/dist-packages"
    package(system, "numpy", version="1.24.2")
    monkeypatch.setattr(sys, "path", [*sys.path, str(system)])
    assert "uninstall -y numpy" in installation.runtime_remedy(Context(root=tmp_path))


def test_a_package_that_is_too_old_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "numpy", "__version__ = '1.19.5'")
    monkeypatch.syspath_prepend(tmp_path)
    finding = installation.packages(Context())
    assert finding.status == FAULT
    assert "numpy 1.19.5 is too old" in finding.found
    assert "'numpy>=1.24" in finding.remedy


def test_a_numpy_that_hides_the_systems_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "usr/lib/python3/dist-packages"
    package(system, "numpy", version="1.24.2")
    monkeypatch.setattr(sys, "path", [*sys.path, str(system)])
    finding = installation.numpy_abi(Context(root=tmp_path))
    assert finding.status == WARNING
    assert "hides the system's 1.24.2" in finding.found
    assert finding.remedy.endswith("pip uninstall -y numpy")


def test_a_numpy_outside_a_venv_is_removed_by_the_python_that_it_is_of(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    inside = next((tmp_path / "venv").glob("lib/python3*/site-packages"))
    outside = tmp_path / "usr/local/dist-packages"
    code = "import sys; sys.path.append(sys.argv[1]); from edge.doctor.finding import *; "
    code += "print(pip_uninstall('numpy')); print(sys.base_prefix)"
    command = [tmp_path / "venv/bin/python", "-c", code, outside]
    for place in (outside, inside):
        package(place, "numpy", version="2.2.6")
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        remedy, base = done.stdout.splitlines()
        python = f"{base}/bin/python3" if place == outside else str(command[0])
        assert f"{python} -m pip uninstall -y numpy" in remedy


@pytest.mark.parametrize("status, brought", [(0, False), (1, True)])
def test_a_base_without_pip_gets_one_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, brought: bool
) -> None:
    """A virtual environment, as this one, may have a pip that its base has not."""
    outside = tmp_path / "usr/local/dist-packages"
    package(outside, "numpy", version="2.2.6")
    lay_out(tmp_path, {"bin/python3": f"#!/bin/sh\nexit {status}\n"})
    (tmp_path / "bin/python3").chmod(0o755)
    monkeypatch.syspath_prepend(outside)
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    remedy = finding.pip_uninstall("numpy")
    assert ("apt install python3-pip && " in remedy) == brought
    assert f"{tmp_path}/bin/python3 -m pip uninstall -y numpy" in remedy


def test_simplejpeg_built_for_another_numpy_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_size = "numpy.dtype size changed, may indicate binary incompatibility. Expected 96"
    package(tmp_path, "simplejpeg", f"raise ValueError({changed_size!r})")
    monkeypatch.syspath_prepend(tmp_path)
    root = raspberry_pi(tmp_path / "root", 4)
    finding = installation.numpy_abi(Context(root=root))
    assert finding.status == FAULT
    assert changed_size in finding.found
    assert "numpy" in finding.remedy


def test_a_venv_by_itself_hides_apts_picamera2(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edge.doctor import installation as i; "
        "from edge.doctor.finding import Context; f = i.venv(Context(root=Path(sys.argv[1]))); "
        "print(f.status); print(f.remedy)"
    )
    root = raspberry_pi(tmp_path / "root", 4)
    (root / "usr/lib/python3/dist-packages/picamera2").mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    command = [tmp_path / "venv/bin/python", "-c", code, root]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    status, remedy = said.splitlines()
    assert status == FAULT
    subprocess.run(remedy, shell=True, check=True)
    again = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert again.splitlines()[0] == OK


# The camera.

CAMERA = """
class Picamera2:
    @staticmethod
    def global_camera_info():
        return {}
"""
IMX708 = {"Model": "imx708", "Location": 2, "Rotation": 180, "Id": "/base/soc/i2c0mux/i2c@1"}


def with_picamera2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, libcamera: str = "pass"
) -> None:
    package(folder, "picamera2", code, "0.3.31")
    package(folder, "libcamera", libcamera)
    monkeypatch.syspath_prepend(folder)


def test_no_picamera2_is_a_fault_of_a_raspberry_pi_alone(tmp_path: Path) -> None:
    root = raspberry_pi(tmp_path / "pi", 5)
    assert camera.picamera2(Context(root=root)) == Finding(
        FAULT, "is not installed", "sudo apt install --no-install-recommends python3-picamera2"
    )
    for check in (camera.picamera2, camera.cameras, camera.nodes, camera.groups):
        assert check(Context(root=tmp_path)).status == NOT_HERE


def test_cameras_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_picamera2(tmp_path / "site", monkeypatch, CAMERA.format([IMX708, {"Id": "/usb"}]))
    assert camera.picamera2(Context()) == Finding(OK, "picamera2 0.3.31")
    assert camera.cameras(Context()) == Finding(OK, "0: imx708, 1: /usb")


def test_no_camera_is_a_fault_of_a_raspberry_pi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_picamera2(tmp_path / "site", monkeypatch, CAMERA.format([]))
    root = raspberry_pi(tmp_path / "pi", 4)
    finding = camera.cameras(Context(root=root))
    assert (finding.status, finding.found) == (FAULT, "no camera detected")
    assert "cable" in finding.remedy
    assert camera.cameras(Context(root=tmp_path)).status == WARNING


@pytest.mark.parametrize(
    ("text", "hides"),
    [
        ("camera_auto_detect=1\n", ""),
        ("#camera_auto_detect=0\n", ""),
        ("camera_auto_detect=0\ndtoverlay=imx219\n", ""),
        ("[all]\ncamera_auto_detect=0\n", "camera_auto_detect=0"),
        ("start_x=1\ngpu_mem=128\n", "start_x=1"),
    ],
)
def test_a_setting_that_hides_the_camera_is_named_and_its_remedy_mends_it(
    text: str, hides: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_picamera2(tmp_path / "site", monkeypatch, CAMERA.format([]))
    root = raspberry_pi(tmp_path / "pi", 4)
    lay_out(root, {"boot/firmware/config.txt": text})
    finding = camera.cameras(Context(root=root))
    assert finding.status == FAULT
    assert (hides in finding.found) if hides else (finding.found == "no camera detected")
    if hides:
        edit = finding.remedy.removeprefix("sudo ").partition(" && ")[0]
        subprocess.run(edit.replace(" /boot", f" {root}/boot"), shell=True, check=True)
        assert camera.cameras(Context(root=root)).found == "no camera detected"


@pytest.mark.parametrize(
    "picamera2, libcamera, said, remedy",
    [
        ("import pykms", "pass", "No module named 'pykms'", "python3-kms++"),
        ("raise ValueError('numpy.dtype size changed')", "pass", "size changed", "numpy"),
        ("pass", "import os; os.abort()", "crashed (SIGABRT)", "--reinstall"),
    ],
)
def test_a_picamera2_that_does_not_load_is_told_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    picamera2: str,
    libcamera: str,
    said: str,
    remedy: str,
) -> None:
    with_picamera2(tmp_path / "site", monkeypatch, picamera2, libcamera)
    finding = camera.picamera2(Context(root=raspberry_pi(tmp_path / "pi", 4)))
    assert finding.status == FAULT
    assert said in finding.found
    assert remedy in finding.remedy


def test_a_camera_that_hangs_does_not_hang_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_picamera2(tmp_path / "site", monkeypatch, "import time; time.sleep(600)")
    monkeypatch.setattr(camera, "CAMERAS_TIMEOUT_S", 1.0)
    finding = camera.cameras(Context(root=raspberry_pi(tmp_path / "pi", 4)))
    assert (finding.status, finding.found) == (FAULT, "the check failed (did not end within 1 s)")


def test_device_nodes_are_opened(tmp_path: Path) -> None:
    root = raspberry_pi(tmp_path, 4)
    assert camera.nodes(Context(root=root)).status == FAULT  # not one
    names = ("dev/video0", "dev/media0", "dev/dma_heap/system", "dev/vcio")
    lay_out(root, dict.fromkeys(names, ""))
    for path in root.glob("dev/**/*"):
        path.chmod(0o777)
    assert camera.nodes(Context(root=root)) == Finding(OK, "all 4 can be opened")
    (root / "dev/video1").symlink_to("video1")
    finding = camera.nodes(Context(root=root))
    assert finding.status == FAULT
    assert "1 of 5 cannot be opened" in finding.found
    assert "Too many levels of symbolic links" in finding.found
    assert "fuser" in finding.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_a_node_without_rights_is_a_matter_of_groups(tmp_path: Path) -> None:
    groups = "root:x:0:\nvideo:x:44:\nrender:x:105:\n"
    root = lay_out(raspberry_pi(tmp_path, 4), {"dev/media0": "", "etc/group": groups})
    lay_out(root, {"dev/dma_heap/system": ""})
    for name, group in (("dev/media0", 44), ("dev/dma_heap/system", 0)):
        (root / name).chmod(0o660)
        os.chown(root / name, 0, group)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    names = [str(root / "dev/media0"), str(root / "dev/dma_heap/system")]
    code = (
        "import json, os, sys; from edge.sources.camera_faults import unopened; "
        "from edge.doctor.camera import groups; "
        "from edge.doctor.finding import Context; from pathlib import Path; "
        f"os.setgroups([105]); os.setgid({NOBODY}); os.setuid({NOBODY}); "
        f"print(json.dumps([unopened({names!r}), groups(Context(root=Path({str(root)!r}))).found]))"
    )
    outcome = try_code(code, 30)
    assert outcome.reason == ""
    refused, missing = json.loads(outcome.said)
    assert refused == dict.fromkeys(names, 13)
    assert missing == "not in video"
    context = Context(root=root)
    assert camera._node_remedy(context, names[0], 13).startswith("sudo usermod -aG video,render")
    # Root opens both; the service could not open the second.
    finding = camera.nodes(context)
    assert finding.status == FAULT
    assert (
        finding.found
        == f"the service has no permission to open {names[1]} (group root, -rw-rw----)"
    )
    assert "dma-heap.rules" in finding.remedy
    os.chown(names[1], 0, 44)
    assert camera.nodes(context) == Finding(OK, "all 2 can be opened")
    assert camera.groups(context) == Finding(OK, "root needs none")


# The unit, by what systemctl says of it.


@pytest.mark.parametrize(
    "told, status, remedy",
    [
        ("LoadState=not-found ActiveState=inactive SubState=dead", NOT_HERE, ""),
        ("ActiveState=active SubState=running NRestarts=0 UnitFileState=enabled", OK, ""),
        ("ActiveState=active SubState=running UnitFileState=disabled", WARNING, "enable edge"),
        ("ActiveState=active SubState=running NRestarts=3", WARNING, "journalctl"),
        ("ActiveState=inactive SubState=dead", WARNING, "enable --now"),
        ("ActiveState=activating SubState=start", WARNING, "journalctl"),
        ("ActiveState=activating SubState=auto-restart Result=watchdog", FAULT, "journalctl"),
        ("ActiveState=failed SubState=failed Result=exit-code ExecMainStatus=2", FAULT, "journal"),
        ("ActiveState=failed SubState=failed Result=oom-kill", FAULT, "journalctl"),
        ("", WARNING, "journalctl"),
    ],
)
def test_the_units_state_is_judged(told: str, status: str, remedy: str) -> None:
    properties = dict(word.split("=", 1) for word in told.split())
    finding = service.judge_unit("edge-watch", properties)
    assert finding.status == status
    assert remedy in finding.remedy


def test_a_unit_says_what_it_waits_for() -> None:
    told = {"ActiveState": "active", "SubState": "running", "StatusText": "waits for the camera"}
    assert "status: waits for the camera" in service.judge_unit("edge-watch", told).found


def test_without_systemd_there_is_no_unit(tmp_path: Path) -> None:
    finding = service.unit(Context(root=tmp_path))
    assert finding == Finding(NOT_HERE, "this machine does not run systemd")


def test_systemctl_is_asked_where_systemd_runs(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    finding = service.unit(Context(root=tmp_path, unit="no-such-unit"))
    assert finding.status in (NOT_HERE, FAULT)  # here systemctl may be absent, or have no bus


# Colour.


@pytest.mark.parametrize(
    "environment, coloured",
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_colour_is_for_terminals_whose_owner_does_not_mind(
    environment: dict[str, str], coloured: bool
) -> None:
    code = (
        "from edge.commands.doctor import _line; from edge.doctor.finding import Finding; "
        "print(_line('disk', Finding('fault', 'full', 'rm')))"
    )
    master, slave = pty.openpty()
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    env = plain | {"TERM": "xterm"} | environment
    subprocess.run([sys.executable, "-c", code], stdout=slave, env=env, cwd=ROOT, check=True)
    said = os.read(master, 1000).decode()
    os.close(master)
    os.close(slave)
    assert ("\x1b[31;1m" in said) == coloured
    assert said.replace("\x1b[31;1m", "").replace("\x1b[0m", "") == (
        "fault     disk           full\r\n"
    )


@pytest.mark.parametrize(
    ("options", "status", "found"),
    [
        ((), WARNING, "use --labels FILE"),
        (("--labels", "words.txt"), WARNING, "2 labels (bun, sausage)"),
        (("--labels", "words.txt", "--normalize", "[0,255]", "--output", "0"), WARNING, "bun"),
        (("--labels", "words.txt", "--output", "x"), FAULT, "has no output 'x'"),
        (("--labels", "words.txt", "--input-size", "64"), FAULT, "fixed size, 224 x 224"),
    ],
)
def test_facts_that_a_model_lacks_are_options(
    options: tuple[str, ...], status: str, found: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def only_the_model(context: Context) -> Iterator[tuple[str, Finding]]:
        return examine(context, {"model": service.model})

    monkeypatch.setattr(doctor_command, "examine", only_the_model)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("bun\nsausage\n")
    (tmp_path / "bare.tflite").write_bytes(without_metadata())
    code = doctor_command.main(["-m", "bare.tflite", *options, "--format", "json"])
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert (code, check["status"]) == (int(status == FAULT), status), check
    assert found in check["found"] + check["remedy"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--format", "xml"),
        ("extra",),
        ("--no-such-option",),
        ("--normalize", "x"),
        ("--input-size", "0"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    done = doctor(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edge-doctor: ") and done.stderr.count("\n") == 1
