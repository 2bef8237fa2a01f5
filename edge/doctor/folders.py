"""Checks of where the service writes: its state folder, and the folders of the configuration."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shlex
from pathlib import Path
from typing import Any

from edge.doctor.finding import (
    FAULT,
    NOT_HERE,
    OK,
    WARNING,
    Context,
    Finding,
    try_command,
)
from edge.doctor.service import unit_properties
from edge.errors import EdgeError
from edge.service.sinks.folders import HIDDEN, Folder, FolderError
from edge.sources.address import parse

WRITE_TIMEOUT_S = 20.0  # a disk that spins up, a network share
PROPERTIES = (
    "LoadState MainPID ProtectSystem ProtectHome ReadWritePaths "
    "StateDirectory RuntimeDirectory CacheDirectory"
).split()
PLACES = {"StateDirectory": "var/lib", "RuntimeDirectory": "run", "CacheDirectory": "var/cache"}
# As the service would: in its view of the files, by its user and its groups.
WRITE = """
folder=$1
while [ "$2" = made ] && [ ! -d "$folder" ]; do folder=$(dirname -- "$folder"); done
cd -- "$folder" && file=$(mktemp ./.edge-doctor.XXXXXX) && rm -- "$file"
"""
IN_UNIT = {"STATE_DIRECTORY": "/var/lib/edge-classify"}


def state(context: Context) -> Finding:
    """Whether systemd can give the service its state folder."""
    public = context.state_folder
    private = public.parent / "private" / public.name
    if not os.path.lexists(public):
        return Finding(NOT_HERE, f"{public} is absent: the service has not run yet")
    is_restored = public.is_dir() and not public.is_symlink()
    if is_restored and os.path.lexists(private):  # systemd moves it only where nothing is
        found = f"{public} is a folder (from a backup?), but systemd needs a link to {private}"
        return Finding(FAULT, found, context.install)
    return Finding(OK, str(public))


def _settings(context: Context) -> dict[str, Any]:
    """The values of the configuration."""
    try:
        from tomllib import loads  # Python 3.11's: an older one is to hear of its age

        return loads(context.configuration.read_text())
    except (
        ImportError,
        OSError,
        ValueError,
    ):  # absent, or reported by the check of the configuration
        return {}


def source(context: Context) -> Finding:
    """Whether a folder of images is there for the service, and what becomes of it."""
    told = _settings(context)
    name = told.get("source", "camera")
    if name == "camera" or not isinstance(name, str):
        return Finding(NOT_HERE, "the camera")
    with contextlib.suppress(EdgeError):  # reported by the check of the configuration
        if (address := parse(name)).is_live:
            return Finding(NOT_HERE, address.name)
    hides = _unit(context).get("ProtectHome", "no") in ("yes", "tmpfs")
    if hides and any(map(Path(name).is_relative_to, HIDDEN)):
        remedy = f"move it below /srv, then: sudoedit {context.configuration}"
        return Finding(FAULT, f"{name}: the service cannot see home folders", remedy)
    if not (glob.glob(name) or os.path.lexists(name)):
        return Finding(WARNING, f"{name}: no such file or folder", f"ls -ld {name}")
    if told.get("repeat") is True:
        found = f"{name}: replayed endlessly (repeat), which is for demonstrations"
        remedy = f"set repeat = false and follow = true in {context.configuration}"
        return Finding(WARNING, found, f"{remedy}, then: sudo systemctl restart {context.unit}")
    return Finding(OK, name)


def _unit(context: Context) -> dict[str, str]:
    """The properties of the unit; empty where there is none."""
    if not (context.root / "run/systemd/system").is_dir():
        return {}
    told = unit_properties(context, PROPERTIES)
    return told if isinstance(told, dict) and told.get("LoadState") == "loaded" else {}


def _folders(context: Context) -> list[Folder]:
    """The folders that the configuration names."""
    told = _settings(context)

    def named(section: str, key: str) -> str:
        """A text of the configuration; "" for none."""
        of = told.get(section) if section else told
        value = of.get(key) if isinstance(of, dict) else None
        return value if isinstance(value, str) else ""

    dataset = named("web", "dataset") if named("web", "listen") else ""
    files = (("results.file", named("results", "file")), ("latest", named("", "latest")))
    made = (("snapshots.folder", named("snapshots", "folder")), ("web.dataset", dataset))
    return [
        *(Folder(key, Path(path), is_made=True) for key, path in made if path),
        *(Folder(key, Path(path).parent) for key, path in files if path),
    ]


def written(context: Context) -> Finding:
    """Whether the service can write to the folders that the configuration names."""
    folders = _folders(context)
    if not folders:
        return Finding(NOT_HERE, "the configuration names no folder for images or results")
    unit = _unit(context)
    for folder in folders:
        fault = judge_folder(folder, unit) if unit else None
        fault = fault or _tried(folder, unit)
        if fault:
            return Finding(FAULT, f"{fault.subject}: {fault.fault}", fault.remedy)
    return Finding(OK, ", ".join(map(_described, folders)))


def judge_folder(folder: Folder, unit: dict[str, str]) -> FolderError | None:
    """Judge a folder by the properties of the unit; None where they allow writing to it."""
    path = Path(os.path.normpath(folder.path))
    given = [item.lstrip("-+") for item in shlex.split(unit.get("ReadWritePaths", ""))]
    for name, place in PLACES.items():
        given += [f"/{place}/{part.split(':')[0]}" for part in unit.get(name, "").split()]
    given += [f"/var/lib/private/{part}" for part in unit.get("StateDirectory", "").split()]
    hides = unit.get("ProtectHome", "no") != "no" and any(map(path.is_relative_to, HIDDEN))
    is_given = any(map(path.is_relative_to, given))
    if is_given or (unit.get("ProtectSystem") != "strict" and not hides):
        return None
    return folder.outside_unit("Permission denied" if hides else "Read-only file system")


def _tried(folder: Folder, unit: dict[str, str]) -> FolderError | None:
    """Write to it: as the service, where it runs and this is root; else where there is no unit."""
    process = Path("/proc") / unit.get("MainPID", "0") / "status"
    if os.geteuid() == 0 and process.is_file():
        facts = dict(line.split(":", 1) for line in process.read_text().splitlines() if ":" in line)
        user, group = (facts[name].split()[1] for name in ("Uid", "Gid"))
        groups = ",".join(facts.get("Groups", "").split()) or group
        command = ["nsenter", "--target", unit["MainPID"], "--mount", "setpriv", "--reuid", user]
        command += ["--regid", group, "--groups", groups, "sh", "-c", WRITE, "sh", str(folder.path)]
        command.append("made" if folder.is_made else "")
        reason = try_command(command, WRITE_TIMEOUT_S).reason
        numbers = {os.strerror(number): number for number in errno.errorcode}
        why = reason.rpartition(": ")[2]
        return folder.fault(OSError(numbers.get(why, 0), why), IN_UNIT) if reason else None
    if unit:
        return None
    try:
        folder.check()
    except FolderError as error:
        return error
    return None


def _described(folder: Folder) -> str:
    copy = folder.how_to_see() if folder.key == "snapshots.folder" else ""
    return f"{folder.path} (to see the images: {copy})" if copy else str(folder.path)
