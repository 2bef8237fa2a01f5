"""Checks of Python and its packages: what is installed, and what of it loads."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

from edge import board
from edge.doctor.finding import (
    FAULT,
    NOT_HERE,
    OK,
    SYSTEM_PACKAGES,
    WARNING,
    Context,
    Finding,
    in_venv,
    is_apts_python,
    pip,
    pip_uninstall,
    try_code,
    version_of,
)
from edge.errors import library_remedy
from edge.names import PACKAGES, RUNTIMES

IMPORT_TIMEOUT_S = 60.0  # a cold SD card is slow, and a busy Pi slower
OLDEST_PYTHON = (3, 11)
# Packages, their modules, and the oldest version that works.
NEEDED = (
    ("numpy", "numpy", "1.24"),
    ("Pillow", "PIL", "9.4"),
)
NEW_SYSTEM = "install the 64-bit Raspberry Pi OS: https://www.raspberrypi.com/software/"


def python(context: Context) -> Finding:
    """Which Python runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    found = f"Python {version}, {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding(FAULT, f"{found}: requires Python 3.11 or newer", NEW_SYSTEM)
    return Finding(OK, found)


def userland(context: Context) -> Finding:
    """Whether runtimes are made for this system."""
    return judge_userland(board.userland_bits(), board.machine(), sys.version_info[:2])


def judge_userland(bits: int, machine: str, version: tuple[int, ...]) -> Finding:
    """Judge a system by its width, its kernel's architecture, and its Python."""
    found = f"{bits}-bit system, {machine} kernel"
    if bits == 64:
        return Finding(OK, found)
    if machine.startswith("armv6"):
        remedy = "use a Raspberry Pi Zero 2, 3 or newer"
        return Finding(FAULT, f"{found}: no TFLite runtime exists for ARMv6", remedy)
    if version >= (3, 12):
        python = ".".join(map(str, version))
        missing = f"no TFLite runtime exists for 32 bits and Python {python}"
        return Finding(FAULT, f"{found}: {missing}", NEW_SYSTEM)
    return Finding(WARNING, f"{found}: tflite-runtime 2.14 is the only runtime for it", NEW_SYSTEM)


def packages(context: Context) -> Finding:
    """Whether what edge stands on is there, new enough, and loads."""
    versions = []
    for package, module, oldest in NEEDED:
        outcome = try_code(f"import {module}; print({module}.__version__)", IMPORT_TIMEOUT_S)
        remedy = _package_remedy(package, oldest)
        if outcome.reason:
            remedy = library_remedy(outcome.reason) or remedy
            return Finding(FAULT, f"{package} does not load ({outcome.reason})", remedy)
        if _numbers(outcome.said) < _numbers(oldest):
            too_old = f"{package} {outcome.said} is too old: requires {oldest} or newer"
            return Finding(FAULT, too_old, remedy)
        versions.append(f"{package} {outcome.said}")
    return Finding(OK, ", ".join(versions))


def runtimes(context: Context) -> Finding:
    """Which TFLite runtimes are installed, and load."""
    loaded, failed = [], []
    for name, module in RUNTIMES.items():
        package = PACKAGES[name]
        if not importlib.util.find_spec(module):
            continue
        reason = try_code(f"import {module}.interpreter", IMPORT_TIMEOUT_S).reason
        if not reason and package == "tflite-runtime" and _numbers(_numpy()) >= (2,):
            reason = f"it was built for numpy 1, and would crash with numpy {_numpy()}"
        shown = f"{package} {version_of(package) or 'of unknown version'}"
        if reason:
            failed.append(f"{shown} does not load ({reason})")
        else:
            loaded.append(shown)
    found = ", ".join(loaded + failed) or "no TFLite runtime is installed"
    if loaded and not failed:
        faster = PACKAGES["litert"]
        if faster not in found and board.userland_bits() == 64:
            found += f"; {faster} is usually faster: {pip(f'install {faster}')}"
        return Finding(OK, found)
    return Finding(WARNING if loaded else FAULT, found, runtime_remedy(context))


def runtime_remedy(context: Context) -> str:
    """The command that brings a runtime which loads, and leaves numpy as it is where it can."""
    if board.userland_bits() == 32:
        return pip("install --upgrade tflite-runtime==2.14.0 'numpy<2'")
    if version_of("tflite-runtime") and _numbers(_numpy()) >= (2,):
        hidden = _hidden_numpy(context)
        will_do = hidden and _numbers(hidden) < (2,)
        return numpy_remedy(context) if will_do else pip("install --upgrade 'numpy<2'")
    if version_of("ai-edge-litert"):
        return pip("install --force-reinstall --no-deps 'ai-edge-litert>=2.1'")
    same_numpy = f" 'numpy=={_numpy()}'" if _numpy() else ""
    return pip(f"install 'ai-edge-litert>=2.1'{same_numpy}")


def _numpy() -> str:
    """The version of numpy that is found first; empty where there is none."""
    return version_of("numpy") or ""


def _hidden_numpy(context: Context) -> str:
    """The version of apt's numpy where another is found before it; else empty."""
    packages = context.root / SYSTEM_PACKAGES
    system = version_of("numpy", [packages]) if str(packages) in sys.path else None
    return system if system and system != _numpy() else ""


def _package_remedy(package: str, oldest: str) -> str:
    if is_apts_python():
        names = {"numpy": "python3-numpy", "Pillow": "python3-pil"}
        return f"sudo apt install --reinstall {names[package]}"
    below = ",<2" if package == "numpy" and version_of("tflite-runtime") else ""
    return pip(f"install --force-reinstall '{package}>={oldest}{below}'")


def numpy_abi(context: Context) -> Finding:
    """Whether what the system built for its numpy works with the numpy that is found first."""
    here, hidden = _numpy(), _hidden_numpy(context)
    if not here:
        return Finding(NOT_HERE, "numpy is not installed")
    if importlib.util.find_spec("simplejpeg"):  # picamera2's, and the first to break
        outcome = try_code("import simplejpeg", IMPORT_TIMEOUT_S)
        if outcome.reason:
            found = f"simplejpeg does not load with numpy {here} ({outcome.reason})"
            return Finding(context.without_camera, found, numpy_remedy(context))
    if hidden:
        found = f"numpy {here} hides the system's {hidden}, for which apt's packages were built"
        return Finding(WARNING, found, numpy_remedy(context))
    return Finding(OK, f"numpy {here}")


def numpy_remedy(context: Context) -> str:
    """The command that brings numpy and what was built for it together."""
    if _hidden_numpy(context):
        return pip_uninstall("numpy")  # what comes to light is apt's
    return "sudo apt install --reinstall python3-numpy python3-simplejpeg"


def venv(context: Context) -> Finding:
    """Whether the virtual environment sees what comes from apt, as picamera2 does."""
    if not in_venv():
        return Finding(OK, "none: the system's Python")
    if sees_system_packages():
        return Finding(OK, f"{sys.prefix}, with the system's packages")
    if not system_has_picamera2(context):
        return Finding(OK, f"{sys.prefix}, isolated; picamera2 is not installed, so that is fine")
    found = f"{sys.prefix} does not see the system's packages, such as picamera2"
    return Finding(context.without_camera, found, venv_remedy())


def sees_system_packages() -> bool:
    """Whether this virtual environment was made with --system-site-packages."""
    try:
        text = (Path(sys.prefix) / "pyvenv.cfg").read_text(errors="replace")
    except OSError:
        return False
    return bool(re.search(r"(?im)^include-system-site-packages\s*=\s*true\s*$", text))


def system_has_picamera2(context: Context) -> bool:
    """Whether apt's picamera2 is installed."""
    return (context.root / SYSTEM_PACKAGES / "picamera2").is_dir()


def venv_remedy() -> str:
    """The command that opens this virtual environment to the system's packages."""
    setting = "include-system-site-packages"
    return f"sed -i 's/^{setting}.*/{setting} = true/' {sys.prefix}/pyvenv.cfg"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
