"""Checks of the model and of the systemd unit."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge.doctor.finding import (
    FACTS,
    FAULT,
    INSTALL,
    NOT_HERE,
    OK,
    WARNING,
    Context,
    Finding,
    try_code,
    try_command,
)
from edge.doctor.installation import IMPORT_TIMEOUT_S, runtime_remedy
from edge.errors import EdgeError, RuntimeMissingError
from edge.names import PACKAGES, RUNTIMES

MODEL_TIMEOUT_S = 120.0
SYSTEMCTL_TIMEOUT_S = 10.0
CONFIGURATION_STATUS = "2"  # what edge-watch ends with when its configuration is invalid
PROPERTIES = (
    "LoadState UnitFileState ActiveState SubState Result ExecMainStatus NRestarts StatusText"
).split()
# What systemd itself ends with, where it cannot start the program: what it means, and the remedy.
SYSTEMD_STATUS = {
    "203": ("203/EXEC: the installed program does not start", INSTALL),
    "216": ("216/GROUP: a group of the unit does not exist", INSTALL),
    "238": ("238/STATE_DIRECTORY: its state folder cannot be set up", INSTALL),
}


def configuration(context: Context) -> Finding:
    """Whether edge-watch takes its configuration."""
    path = context.configuration
    if not path.is_file():
        return Finding(NOT_HERE, f"{path} is absent: every setting has its default")
    arguments = ["--config", str(path), "--print-config"]
    code = f"import sys; from edge.commands.watch import main; sys.exit(main({arguments!r}))"
    outcome = try_code(code, IMPORT_TIMEOUT_S)
    if outcome.reason:
        return Finding(FAULT, outcome.reason, f"sudoedit {path}")
    return Finding(OK, str(path))


def _model(context: Context) -> Path | None:
    """The model that is looked at: the one that is named, or else the service's."""
    named = context.model or _configured(context).get("model")
    return Path(named) if named and isinstance(named, str | Path) else None


def _facts(context: Context) -> dict[str, str]:
    """Return the model's facts from options and, for the service's model, its configuration."""
    told = {} if context.model else _configured(context)
    found = {name: value for name in FACTS if isinstance(value := told.get(name, ""), str)}
    return found | dict(context.facts)


def _configured(context: Context) -> dict[str, Any]:
    """Return the configuration; empty if it is absent or wrong, which its own check reports."""
    try:
        from tomllib import loads  # Python 3.11's: an older one is to hear of its age

        return loads(context.configuration.read_text())
    except (ImportError, OSError, ValueError):
        return {}


def model(context: Context) -> Finding:
    """Whether the model loads, knows its labels, and gives the scores that it must."""
    told = _tried(context, "auto")
    if "missing" in told:
        remedy = "repair packages and runtime first, then run edge-doctor"
        return Finding(FAULT, f"{told['path']}: {told['missing']}", remedy)
    if "crash" in told:
        remedy = f"{runtime_remedy(context)}, or copy the file again"
        return Finding(FAULT, f"{told['path']}: {told['crash']}", remedy)
    if "fault" in told:
        return Finding(FAULT, f"{told['path']}: {told['fault']}", told["remedy"])
    found = (
        f"{told['path']}, sha256 {told['sha256'][:12]}, {len(told['labels'])} labels "
        f"({', '.join(told['labels'][:3])}{', ...' if len(told['labels']) > 3 else ''}), "
        f"{told['golden']} golden vectors hold on {told['runtime']}, {told['speed']}"
    )
    if told["warnings"]:
        return Finding(WARNING, f"{found}; {'; '.join(told['warnings'])}", _CONVERT)
    if not told["golden"]:
        return Finding(WARNING, f"{found}: results cannot be verified", _CONVERT)
    return Finding(OK, found)


_CONVERT = "convert it again, on a workstation: python -m convert PHOTOS"


def operators(context: Context) -> Finding:
    """Whether each runtime that is installed knows the versions of the model's operators."""
    known, refused, count = [], [], 0
    for name, module in RUNTIMES.items():
        package = PACKAGES[name]
        told = _tried(context, name) if importlib.util.find_spec(module) else {}
        fault = told.get("fault", "")
        if "crash" in told:
            refused.append(f"{package}: {told['crash']}")
        elif package in fault:
            refused.append(fault)
        elif fault:
            return Finding(NOT_HERE, "not checked: the model does not load")
        elif "runtime" in told:
            known.append(told["runtime"])
            count = told["operators"]
    if not known and not refused:
        return Finding(NOT_HERE, "no runtime is installed")
    if not refused:
        return Finding(OK, f"all {count} are supported by {' and '.join(known)}")
    if known:  # which is used, unless --runtime names another
        return Finding(WARNING, "; ".join(refused), f"leave --runtime at auto, or {_CONVERT}")
    return Finding(FAULT, "; ".join(refused), f"{runtime_remedy(context)}, or {_CONVERT}")


def _tried(context: Context, runtime: str) -> dict[str, Any]:
    """Check the model in its own process; return its output, or how it ended."""
    path, facts = _model(context), _facts(context)
    code = (
        "import json; from edge.doctor.service import describe; "
        f"print(json.dumps(describe({path and str(path)!r}, {runtime!r}, {facts!r})))"
    )
    outcome = try_code(code, MODEL_TIMEOUT_S)
    if not outcome.reason:
        told: dict[str, Any] = json.loads(outcome.said)
        return told
    unimportable = outcome.reason.startswith(("ImportError", "ModuleNotFoundError"))
    kind = "missing" if unimportable else "crash"
    return {"path": str(path or "the shipped model"), kind: outcome.reason}


def describe(path: str | None, runtime: str, given: dict[str, str]) -> dict[str, Any]:
    """Load and verify a model; print what it is, or what is wrong with it.

    Args: its file; the runtime; its facts, by the configuration's names.
    """
    from edge.classifier.facts import facts  # these need numpy, which may be what is broken
    from edge.classifier.model import Model, default_model
    from edge.classifier.selection import choose_model, explain, threads_of

    file = Path(path) if path else default_model()
    try:
        options = facts(**dict.fromkeys(FACTS, "") | given)
        how = choose_model(file, runtime, None)
        with Model(file, runtime=how.runtime, num_threads=how.num_threads, **options) as opened:
            told = threads_of(opened.num_threads), opened.delegated(), explain(file, opened)
            return {
                "path": str(file),
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "labels": list(opened.labels),
                "operators": len(opened.metadata.operators),
                "golden": opened.verify(),
                "runtime": opened.runtime,
                "speed": "; ".join(str(each) for each in told if each),
                "warnings": list(opened.warnings),
            }
    except RuntimeMissingError as error:
        return {"path": str(file), "missing": error.fault}
    except EdgeError as error:
        return {"path": str(file), "fault": error.fault, "remedy": error.remedy}


def unit(context: Context) -> Finding:
    """How the service is."""
    if not (context.root / "run/systemd/system").is_dir():
        return Finding(NOT_HERE, "this machine does not run systemd")
    told = unit_properties(context, PROPERTIES)
    if isinstance(told, str):
        return Finding(FAULT, told, "systemctl status")
    return judge_unit(context.unit, told)


def unit_properties(context: Context, names: Iterable[str]) -> dict[str, str] | str:
    """Return systemd's properties of the unit, or a line with why there are none."""
    command = ["systemctl", "show", context.unit, "--property", ",".join(names)]
    outcome = try_command(command, SYSTEMCTL_TIMEOUT_S)
    if outcome.reason:
        return outcome.reason
    return dict(line.split("=", 1) for line in outcome.stdout.splitlines() if "=" in line)


def judge_unit(name: str, told: dict[str, str]) -> Finding:
    """Judge a unit by its properties from `systemctl show`."""
    state = told.get("ActiveState", "unknown")
    found = f"{state} ({told.get('SubState', 'unknown')})"
    if told.get("StatusText"):
        found += f", status: {told['StatusText']}"
    restarts = int(told.get("NRestarts") or 0)
    if restarts:
        found += f", {restarts} restarts" if restarts > 1 else ", 1 restart"
    journal = f"journalctl -u {name} -n 50 --no-pager"
    if told.get("LoadState") == "not-found":
        return Finding(NOT_HERE, f"{name} is not installed")
    if state == "failed" and told.get("ExecMainStatus") == CONFIGURATION_STATUS:
        return Finding(FAULT, f"{found}: its configuration is invalid", journal)
    failing = state == "failed" or told.get("SubState") == "auto-restart"
    if failing and told.get("ExecMainStatus") in SYSTEMD_STATUS:
        why, remedy = SYSTEMD_STATUS[told["ExecMainStatus"]]
        return Finding(FAULT, f"{found}: {why}", remedy)
    if failing:
        return Finding(FAULT, f"{found}: {told.get('Result', 'unknown')}", journal)
    if state == "inactive":
        return Finding(WARNING, found, f"sudo systemctl enable --now {name}")
    if state != "active" or restarts:
        return Finding(WARNING, found, journal)
    if told.get("UnitFileState") == "disabled":
        return Finding(WARNING, f"{found}; will not start at boot", f"sudo systemctl enable {name}")
    return Finding(OK, found)
