"""Why a camera cannot be used: the usual causes, distinguished by the state of the system."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.errors import SourceError

# Where picamera2 takes the memory for frames from, the first that exists.
HEAPS = ("dma_heap/vidbuf_cached", "dma_heap/linux,cma")
# What is opened of a camera: the media controllers, the video devices, and a heap.
NODES = ("media*", "video*", *HEAPS)
MOST_NAMED = 4  # holders or nodes in one line

LOOSE = (
    "reseat the cable at both ends, contacts the right way round, and check "
    "camera_auto_detect=1 (or the sensor's dtoverlay) in /boot/firmware/config.txt"
)
SILENT = "reseat the cable at both ends, or try a shorter one, away from sources of interference"
INSTALL = "sudo apt install -y python3-picamera2, and use a venv made with --system-site-packages"
GROUPS = "add the user to the groups video and render (a service: SupplementaryGroups=video render)"


def no_picamera2(error: ImportError) -> SourceError:
    """Return the error that picamera2 is missing or does not work."""
    return SourceError("picamera2", f"cannot be imported ({error})", INSTALL)


def no_camera(
    subject: str, found: int, *, dev: Path = Path("/dev"), proc: Path = Path("/proc")
) -> SourceError:
    """Return why libcamera lists no such camera: no access to its devices, in use, or absent."""
    if closed := list(closed_nodes(dev)):
        return no_rights(subject, closed)
    if found:
        fault = f"no such camera: {found} found, numbered from 0"
        return SourceError(subject, fault, "list them with `rpicam-hello --list-cameras`")
    # Some drivers' cameras are not even listed while another process streams from them.
    if names := list(holders(proc)):
        fault = f"no camera found, or it is in use by {_some(names)}"
        return SourceError(subject, fault, f"stop that process, or {LOOSE}")
    return SourceError(subject, "no camera found", LOOSE)


def no_rights(subject: str, nodes: Iterable[object]) -> SourceError:
    """Return the device nodes that this process may not open."""
    return SourceError(subject, f"permission denied: {_some(map(str, nodes))}", GROUPS)


def no_memory(subject: str, dev: Path = Path("/dev")) -> SourceError | None:
    """Return the error if picamera2 may not allocate memory for frames; None if it may."""
    closed = list(closed_nodes(dev, HEAPS))
    return no_rights(subject, closed) if closed else None


def busy(subject: str, proc: Path = Path("/proc")) -> SourceError:
    """Return the error that another process has the camera, and which, if that is visible."""
    if names := list(holders(proc)):
        return SourceError(subject, f"busy: in use by {_some(names)}", "stop that process")
    remedy = "find it with `sudo fuser -v /dev/media* /dev/video*` and stop it"
    return SourceError(subject, "busy: in use by another process", remedy)


def frozen(name: str, waited_s: float) -> SourceError:
    """A camera that goes on giving the same frame."""
    remedy = "check the cable; sudo dmesg | tail shows kernel errors"
    return SourceError(name, f"sent the same frame for {waited_s:g} s", remedy)


def silent(subject: str, seconds: float) -> SourceError:
    """Return the error that the sensor responds without frames, nearly always the cable."""
    return SourceError(subject, f"opened, but sent no frame within {seconds:.1f} s", SILENT)


def explain(subject: str, error: BaseException) -> SourceError:
    """Name the cause of what picamera2 or libcamera raised: they raise what they like."""
    if isinstance(error, SourceError):
        return error
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, PermissionError):
            return no_rights(subject, [link.filename or "its devices"])
    said = [str(link) or type(link).__name__ for link in chain]
    if any(os.strerror(errno.EBUSY) in text for text in said):
        return busy(subject)
    # picamera2 wraps what happened in a sentence that it did: the innermost error has the cause.
    return SourceError(subject, f"failed ({said[-1]})", "run `rpicam-hello`, and check `dmesg`")


def closed_nodes(dev: Path = Path("/dev"), patterns: Iterable[str] = NODES) -> Iterator[Path]:
    """Yield the camera's device nodes that this process may not open."""
    nodes = [node for pattern in patterns for node in sorted(dev.glob(pattern))]
    for name, number in unopened(map(str, nodes)).items():
        if number in (errno.EACCES, errno.EPERM):  # busy, or gone, is not a matter of permissions
            yield Path(name)


def unopened(nodes: Iterable[str]) -> dict[str, int]:
    """Those of the device nodes that this process cannot open, each with its error's number.

    They are opened for real: the file's permissions do not show what a service's DevicePolicy does.
    """
    refused = {}
    for node in nodes:
        try:
            os.close(os.open(node, os.O_RDWR | os.O_NONBLOCK))
        except OSError as error:
            refused[node] = error.errno or errno.EIO
    return refused


def holders(proc: Path = Path("/proc"), dev: Path = Path("/dev")) -> Iterator[str]:
    """Yield "name (pid)" of other processes that hold a camera's device; those we may look into."""
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        if process.name != str(os.getpid()) and _holds_camera(process, dev):
            yield f"{_name(process)} ({process.name})"


def _holds_camera(process: Path, dev: Path) -> bool:
    try:
        targets = [str(link.readlink()) for link in (process / "fd").iterdir()]
    except OSError:  # another user's, or it ended
        return False
    return any(target.startswith((f"{dev}/media", f"{dev}/video")) for target in targets)


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return ", ".join(listed[:MOST_NAMED]) + more
