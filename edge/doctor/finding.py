"""What a check reads, its result, and the child processes that it runs."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge import board
from edge.errors import one_line

OK, WARNING, FAULT, NOT_HERE = "ok", "warning", "fault", "not here"
TIMED_OUT = "did not end within"
LONGEST_REASON = 200  # characters, the last ones: numpy explains a failed import on two screens

INSTALLED = "/opt/edge-classify/"  # by install.sh
INSTALL = "sudo deploy/install.sh"

# Where Debian and Raspberry Pi OS keep the packages of apt, under the root.
SYSTEM_PACKAGES = "usr/lib/python3/dist-packages"


@dataclass(frozen=True)
class Finding:
    """What a check found, in one line, and what to do about it."""

    status: str  # OK, WARNING, FAULT: it stops the work, NOT_HERE: nothing to look at
    found: str
    remedy: str = ""  # a command, where there is one; empty for OK and NOT_HERE


# Keys of the configuration, and options, for facts that a model file lacks.
FACTS = ("labels", "normalize", "output", "input_size")


@dataclass(frozen=True)
class Context:
    """What is looked at."""

    model: Path | None = None  # None: the configuration's, or else the shipped one
    facts: Mapping[str, str] = field(default_factory=dict)  # as given, by FACTS
    root: Path = board.ROOT
    unit: str = "edge-watch"

    @property
    def state_folder(self) -> Path:
        """Where the service keeps what it writes."""
        return self.root / "var/lib/edge-classify"

    @property
    def configuration(self) -> Path:
        """The settings of the service."""
        return self.root / "etc/edge-classify/watch.toml"

    @property
    def install(self) -> str:
        """The command that installs again: the script that was kept, else the checkout's."""
        kept = self.root / INSTALLED.lstrip("/") / "current/deploy/install.sh"
        with contextlib.suppress(OSError):
            if kept.stat().st_size:  # a power cut may have emptied it
                return f"sudo sh {kept}"
        return INSTALL

    @property
    def without_camera(self) -> str:
        """How bad a camera's absence is: a Raspberry Pi is there to look through one."""
        return FAULT if board.is_raspberry_pi(self.root) else WARNING


@dataclass(frozen=True)
class Outcome:
    """How a child process ended."""

    stdout: str = ""
    reason: str = ""  # why it failed, in one line; empty where it did not

    @property
    def said(self) -> str:
        """The last line of stdout: native code may have written others before it."""
        return _last_line(self.stdout)


# Its packages are those of this process; an error is one line, whatever its text is.
_CHILD = """
import sys
sys.path[:] = sys.argv[1].split(chr(10))
try:
    exec(sys.argv[2], {})
except Exception as error:
    sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))
"""


def try_code(code: str, timeout_s: float) -> Outcome:
    """Run Python code in a process of its own, whose crash is a finding and no end."""
    path = "\n".join(place or str(Path.cwd()) for place in sys.path)
    return try_command([sys.executable, "-c", _CHILD, path, code], timeout_s)


def try_command(command: Sequence[str], timeout_s: float) -> Outcome:
    """Run a command; one that does not end in time is killed with all that it began."""
    quiet = os.environ | {"LIBCAMERA_LOG_LEVELS": "*:ERROR", "LC_ALL": "C.UTF-8"}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=quiet,
            start_new_session=True,
        )
    except OSError as error:
        return Outcome(reason=f"{command[0]} does not start ({error.strerror})")
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        return Outcome(reason=f"{TIMED_OUT} {timeout_s:g} s")
    except BaseException:  # Ctrl-C reaches this process only
        _kill(process)
        raise
    if process.returncode == 0:
        return Outcome(stdout)
    return Outcome(stdout, _reason(process.returncode, stderr))


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # One that hangs in a driver does not die: it is not waited for.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.0)
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _reason(status: int, stderr: str) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"crashed ({signal.Signals(-status).name})"
    said = one_line(_last_line(stderr)) or f"exit status {status}"
    return said if len(said) <= LONGEST_REASON else f"... {said[-LONGEST_REASON:]}"


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def version_of(package: str, path: Iterable[str | Path] | None = None) -> str | None:
    """The version of an installed package, here or in the folders named; None where it is not."""
    places = list(map(str, sys.path if path is None else path))
    for found in importlib.metadata.distributions(name=package, path=places):
        return found.version
    return None


def in_venv() -> bool:
    """Whether this Python is a virtual environment's."""
    return sys.prefix != sys.base_prefix


def pip(arguments: str) -> str:
    """The command by which pip does something to this Python's packages."""
    command = f"{sys.executable} -m pip {arguments}"
    if in_venv() and importlib.util.find_spec("pip") is None:  # install.sh takes it away
        command = f"{sys.executable} -m ensurepip && {command}"
    if not is_apts_python():
        return command
    command += " --break-system-packages"
    if not arguments.startswith("install"):
        return command
    return f"{VENV}; or, in the system's Python: {command}"


# What disturbs no package of apt.
VENV = "install into a virtual environment: python3 -m venv --system-site-packages ~/edge-venv"


def pip_uninstall(package: str) -> str:
    """The command that removes a package from where it is found first.

    The pip of a virtual environment leaves alone what lies outside of it, such as /usr/local's.
    """
    found = next(iter(importlib.metadata.distributions(name=package, path=sys.path)), None)
    place = Path(str(found.locate_file(""))) if found else Path(sys.prefix)
    if place.is_relative_to(sys.prefix):
        return pip(f"uninstall -y {package}")
    base = f"{sys.base_prefix}/bin/python3"
    command = f"{base} -m pip uninstall -y {package}"
    if _is_managed():
        command += " --break-system-packages"
    if not os.access(place, os.W_OK) or os.geteuid() == 0:
        command = f"sudo {command}"
    return command if _has_pip(base) else f"sudo apt install python3-pip && {command}"


def _has_pip(python: str) -> bool:
    """Whether another Python has a pip: that of a virtual environment is not its base's."""
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"
    try:
        return (
            subprocess.run([python, "-Pc", code], capture_output=True, timeout=30).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return True


def is_apts_python() -> bool:
    """Whether this Python's packages are apt's to install: pip then rejects (PEP 668)."""
    return not in_venv() and _is_managed()


def _is_managed() -> bool:
    return (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").is_file()
