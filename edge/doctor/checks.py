"""All checks, in the order in which they are read: machine, Python, camera, service, network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from edge.doctor import camera, folders, installation, machine, network, record, service
from edge.doctor.finding import FAULT, TIMED_OUT, Context, Finding
from edge.errors import one_line

Check = Callable[[Context], Finding]
REPORT = "report it, with what this prints: edge-doctor --format json"

CHECKS: dict[str, Check] = {
    "machine": machine.machine,
    "governor": machine.governor,
    "throttling": machine.throttling,
    "temperature": machine.temperature,
    "disk": machine.disk,
    "memory": machine.memory,
    "memory limits": machine.memory_limits,
    "files": record.files,
    "python": installation.python,
    "built for": record.service_python,
    "system": installation.userland,
    "venv": installation.venv,
    "packages": installation.packages,
    "runtime": installation.runtimes,
    "numpy": installation.numpy_abi,
    "picamera2": camera.picamera2,
    "groups": camera.groups,
    "device nodes": camera.nodes,
    "cameras": camera.cameras,
    "usb cameras": camera.capture_devices,
    "configuration": service.configuration,
    "model": service.model,
    "operators": service.operators,
    "unit": service.unit,
    "state folder": folders.state,
    "source": folders.source,
    "folders": folders.written,
    "parts": network.parts,
    "secrets": network.secrets,
    "live page": network.live_page,
    "broker": network.broker,
}


def examine(
    context: Context, checks: Mapping[str, Check] = CHECKS
) -> Iterator[tuple[str, Finding]]:
    """Make each check, and yield its name and what it found; one that fails is a fault."""
    for name, check in checks.items():
        yield name, _checked(check, context)


def _checked(check: Check, context: Context) -> Finding:
    try:
        finding = check(context)
    except Exception as error:  # whatever breaks here, the other checks are what is wanted
        reason = f"{type(error).__name__}: {error}"
        finding = Finding(FAULT, f"the check itself failed ({reason})", REPORT)
    remedy = finding.remedy
    if TIMED_OUT in finding.found:  # a machine that is too busy breaks nothing
        again = "stop what uses the processor (top -o %CPU), and run edge-doctor again"
        remedy = f"{again}; if it remains: {remedy}"
    return Finding(finding.status, one_line(finding.found), one_line(remedy))
