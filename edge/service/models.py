"""The service's models: the one that runs, and copies of the last ones that passed validation.

A new file is first validated in its own process; the running model is used until it passes.
A start with a file that is rejected runs the newest copy instead.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge.classifier.model import Model, read_model
from edge.classifier.trial import Trial, Trying
from edge.errors import ConfigurationError, EdgeError, ModelError
from edge.files import replace_file
from edge.service.process.reload import FileTrials

COPIES = 2  # the running model, and the one before it


@dataclass(frozen=True)
class ModelRequirements:
    """What a model must be besides right."""

    # That the configuration names, each with the key that does.
    labels: Mapping[str, str] = field(default_factory=dict)
    slowest_ms: float | None = None  # for one invoke of a new model

    def check(self, path: Path, trial: Trial) -> None:
        """Check a new model. Raises: ModelError."""
        lacking = sorted(set(self.labels) - set(trial.labels))
        if lacking:
            fault = f"lacks label {lacking[0]!r}, which the configuration names"
            raise ModelError(path, fault, "use a model that has it, or change the configuration")
        if self.slowest_ms is not None and trial.invoke_p50_ms > self.slowest_ms:
            fault = (
                f"takes {trial.invoke_p50_ms:.0f} ms per image; the limit at this fps is "
                f"{self.slowest_ms:.0f} ms"
            )
            raise ModelError(path, fault, "use a smaller model, or lower fps")

    def check_labels(self, labels: Collection[str]) -> None:
        """Check the first model's labels. Raises: ConfigurationError."""
        for label, key in self.labels.items():
            if label not in labels:
                fault = f"the model has no label {label!r}, only {', '.join(list(labels)[:5])}"
                raise ConfigurationError(key, fault, "change the label, or the model")


class ModelCopies:
    """A folder with the last models that passed validation, each at VERSION/NAME."""

    def __init__(self, folder: Path) -> None:
        """Args: the folder, made when it is needed."""
        self._folder = folder

    def __contains__(self, version: str) -> bool:
        """Whether a model of that version is here."""
        return (self._folder / version).is_dir()

    def __iter__(self) -> Iterator[Path]:
        """Yield the models, the newest first, but those that the disk has damaged."""
        for folder in self._folders():
            for path in folder.glob("[!.]*"):
                with suppress(ModelError):
                    if model_version(path) == folder.name:
                        yield path

    def add(self, path: Path) -> None:
        """Copy a model, and remove the oldest copies. Raises: ModelError, OSError."""
        content = read_model(path)
        folder, others = self._folder / _version(content), self._folders()
        if folder / path.name not in list(self):
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(folder / path.name, content)
        # A clock that was set back must not make it the oldest.
        newest_s = others[0].stat().st_mtime if others else 0.0
        os.utime(folder, (max(time.time(), newest_s + 1),) * 2)
        for old in self._folders()[COPIES:]:
            shutil.rmtree(old)

    def _folders(self) -> list[Path]:
        with suppress(FileNotFoundError):
            folders = [
                f for f in self._folder.iterdir() if f.is_dir()
            ]  # install.sh puts a file here
            return sorted(folders, key=lambda f: f.stat().st_mtime, reverse=True)
        return []


class ModelStore:
    """Owns the running model, and decides which one that is.

    Attributes: `model`; `version`, of `sha256sum` the first 12 digits; `trouble`, why the file is
    not the model that runs, "" where it is.
    """

    def __init__(
        self,
        path: Path,
        open_model: Callable[[Path], Model],
        start_trial: Callable[[Path], Trying],
        requirements: ModelRequirements,
        report: Callable[[str], None],
        *,
        copies: ModelCopies | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the first model. Raises: ModelError, RuntimeMissingError, ConfigurationError.

        Args:
            path: the file.
            open_model: loads a file.
            start_trial: validates a file in its own process.
            requirements: what it must be besides right.
            report: takes one line about what becomes of a file.
            copies: of models that passed validation; None: a file that is rejected at the start
                is an error.
            monotonic: the time to go by.
        """
        self._path, self._open, self._start = path, open_model, start_trial
        self._requirements, self._report, self._copies = requirements, report, copies
        self._trials = FileTrials(path, start_trial, monotonic)
        self.trouble = ""
        self.model = self._open_first()
        self.version = model_version(self.model.path)
        self._keep()

    def ask(self) -> None:
        """Load the file again at the next turn, changed or not; safe in a signal handler."""
        self._trials.ask()

    def poll(self) -> bool:
        """Take a turn, between frames; return whether the model is another one now."""
        try:
            trial = self._trials.poll()
            if trial is None:
                return False
            self._requirements.check(self._path, trial)
            new, version = self._open(self._path), model_version(self._path)
        except EdgeError as error:
            self._reject(error, "the current model stays in use")
            return False
        self.model.close()
        _trim_heap()
        self.model, self.version, self.trouble = new, version, ""
        self._keep()
        golden = f"{trial.golden} golden vectors hold" if trial.golden else "no golden vectors"
        self._report(f"{self._path}: new model loaded ({golden}, {trial.invoke_p50_ms:.1f} ms)")
        return True

    def close(self) -> None:
        """Close the model, and end a trial."""
        self._trials.close()
        self.model.close()

    def _open_first(self) -> Model:
        """The file's model, or else that of the newest copy that can be had."""
        try:
            return self._open_valid(self._path)
        except (ModelError, ConfigurationError) as error:
            for copy in self._copies or ():
                with suppress(ModelError, ConfigurationError):
                    model = self._open_valid(copy)
                    self._reject(error, f"the last model that passed validation runs: {copy}")
                    return model
            raise

    def _open_valid(self, path: Path) -> Model:
        if self._copies is not None and model_version(path) not in self._copies:
            with self._start(path) as trying:  # a damaged file can crash the runtime, and us
                trying.wait()
        model = self._open(path)
        try:
            self._requirements.check_labels(model.labels)
        except ConfigurationError:
            model.close()
            raise
        return model

    def _reject(self, error: EdgeError, instead: str) -> None:
        self.trouble = f"{error.subject}: {error.fault}"
        self._report(f"{error}; {instead}")

    def _keep(self) -> None:
        if self._copies is None:
            return
        try:
            self._copies.add(self.model.path)
        except (OSError, ModelError) as error:
            self._report(f"{self.model.path}: cannot be saved as the last valid model ({error})")


def model_version(path: Path) -> str:
    """Of `sha256sum` the first 12 digits. Raises: ModelError."""
    return _version(read_model(path))


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _trim_heap() -> None:
    """Give the system back what the closed model took: one beside another leaves gaps in the heap.

    Without it, a service that exchanged 150 models was seen to take 35 to 60 MB; with it, 32 to 33.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; another C library has none
    if trim:
        trim(0)
