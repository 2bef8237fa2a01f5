"""Files appear whole or not at all; and the folder that a run writes, which is one run's at a time.

What cannot be written is one line with its remedy. Earlier runs in a folder are kept. What the
training in it was is read without Keras, which takes seconds to import.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from convert.errors import OutputError, TrainingError
from edge.files import lock as lock_file
from edge.files import replace_file

LOCK, EARLIER = ".lock", "earlier"
STATE = "state.json"  # of a training: data, options and history


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises: OutputError, on a full disk for instance."""
    try:
        replace_file(path, content)
    except OSError as error:
        fault = f"cannot be written ({error.strerror})"
        raise OutputError(path, fault, "free some space, or use another -o") from error


@contextlib.contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Make a folder, and keep other runs out of it; no file, and no empty folder, is left of that.

    Raises: OutputError: it cannot be written, or another process writes it.
    """
    is_new = not out.exists()
    with _locked(_made(out)) as lock:
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        try:
            yield
        finally:
            (out / LOCK).unlink(missing_ok=True)
            if is_new:
                with contextlib.suppress(OSError):  # something was written
                    out.rmdir()


def earlier_runs(out: Path) -> list[Path]:
    """The folders of earlier runs in OUT, the newest first."""
    runs = [path for path in out.glob(f"{EARLIER}-*") if _numbered(path)]
    return sorted(runs, key=lambda path: -int(path.name.partition("-")[2]))


def put_back(earlier: Path) -> Path | None:
    """Make an earlier run OUT's own again; what OUT holds is moved aside.

    Returns: where that is, or None where there was no run. Raises: OutputError.
    """
    out = earlier.parent
    aside = move_aside(out)
    try:
        for path in earlier.iterdir():
            path.rename(out / path.name)
        earlier.rmdir()
    except OSError as error:
        fault = f"cannot be moved to {out} ({error.strerror})"
        raise OutputError(earlier, fault, "move it by hand, or use another -o") from error
    return aside


def move_aside(out: Path) -> Path | None:
    """Move what an earlier run left, whole, into OUT/earlier-N; the cache of photos stays.

    Returns: where it is, or None where there was no run.

    Raises: OutputError.
    """
    left = [path for path in out.iterdir() if _is_of_a_run(path)]
    if (
        not any(path.name == "card.json" or path.suffix == ".tflite" for path in left)
        and not (out / "training" / STATE).exists()
    ):
        return None
    newest = next((path.name for path in earlier_runs(out)), f"{EARLIER}-0")
    target = out / f"{EARLIER}-{int(newest.partition('-')[2]) + 1}"
    try:
        target.mkdir()
        for path in left:
            path.rename(target / path.name)
    except OSError as error:
        fault = f"cannot be moved to {target.name} ({error.strerror})"
        raise OutputError(out, fault, "use another -o") from error
    return target


def read_state(folder: Path) -> dict[str, Any] | None:
    """Read the state of the training that a folder holds; None: it holds none.

    Raises: TrainingError where it is damaged.
    """
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text())
        return state
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        remedy = "omit --resume to train again"
        raise TrainingError(folder, "holds a damaged training", remedy) from error


def about_training(folder: Path) -> dict[str, Any]:
    """The data and options of the training that a folder holds. Raises: TrainingError."""
    state = read_state(folder)
    if state is None:
        raise TrainingError(folder, "holds no training", "run python -m convert train first")
    about: dict[str, Any] = state["about"]
    return about


def _numbered(path: Path) -> bool:
    return path.name.partition("-")[2].isdecimal()


def _is_of_a_run(path: Path) -> bool:
    """Whether a run may have written it: no folder of the user's own is moved."""
    if path.is_dir():
        return path.name == "training"
    return path.suffix in (".tflite", ".json", ".html", ".png", ".csv", ".txt")


def _made(out: Path) -> Path:
    try:
        str(out).encode()
    except UnicodeEncodeError as error:
        fault = "its name is not UTF-8, so TensorFlow cannot write files into it"
        raise OutputError(out, fault, "use another -o") from error
    if out.exists() and not out.is_dir():
        raise OutputError(out, "is a file", "use a folder for -o")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(out, f"cannot be created ({error.strerror})", "use another -o") from error
    return out


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[TextIO]:
    """Hold OUT's lock, the one that the others see."""
    path = out / LOCK
    while True:
        try:
            lock = path.open("a+")
        except OSError as error:
            fault = f"cannot be written ({error.strerror})"
            raise OutputError(out, fault, "change its permissions, or use another -o") from error
        with lock:
            try:
                lock_file(lock)
            except BlockingIOError as error:
                lock.seek(0)
                holder = lock.read().strip()
                fault = f"is being written by another run (process {holder or 'unknown'})"
                raise OutputError(out, fault, "wait for it, or use another -o") from error
            # The run before may have removed its lock between the two calls.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                    yield lock
                    return
