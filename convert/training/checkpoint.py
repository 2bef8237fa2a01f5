"""Each epoch of a training is kept as it ends, so that a crash or Ctrl-C costs one epoch at most.

In the folder: `state.json` names the files that count; an epoch's files are whole before it is
written.
"""

from __future__ import annotations

import io
import json
import math
import shlex
import shutil
import warnings
from pathlib import Path
from typing import Any

import keras

from convert.errors import OutputError, TrainingError
from convert.files import STATE, about_training, read_state, write
from convert.measure.scores import Scores
from convert.training.networks import layers_of
from convert.training.recipes import LAST, Recipe

SCORES = "out-of-fold.json"
DRAWS = 2**20  # more than the steps of an epoch
ROOM = "free some space, then continue with --resume"


class Checkpoint:
    """The epochs of one training that are done; the one owner of its folder."""

    def __init__(self, folder: Path, about: dict[str, Any], *, resume: bool) -> None:
        """Begin again, or go on where the folder stands.

        Args:
            folder: holds the checkpoint and nothing else.
            about: the data and every option, as JSON takes it; only an equal training can be
                continued.
            resume: whether to go on. Otherwise what lies in the folder goes, once an epoch is done.

        Raises: TrainingError.
        """
        self._folder, self.about = folder, self.as_kept(about)
        self.history: list[dict[str, float]] = []
        self.kept_epoch = 0
        self.out_of_fold: dict[str, list[float]] = {}  # scores of photos, by SHA-256
        self.head_scores: Scores | None = None  # of val, by the last layer before fine-tuning
        self._older = not resume and folder.exists()  # an earlier training is there
        if resume:
            self._go_on()

    @classmethod
    def of(cls, folder: Path) -> Checkpoint:
        """Open what a training has left. Raises: TrainingError where it left nothing."""
        return cls(folder, about_training(folder), resume=True)

    @staticmethod
    def as_kept(about: dict[str, Any]) -> dict[str, Any]:
        """Data and options as a file gives them back: lists instead of tuples."""
        kept: dict[str, Any] = json.loads(json.dumps(about))
        return kept

    @staticmethod
    def about_of(folder: Path) -> dict[str, Any] | None:
        """The data and options of the training in a folder; None where none can be read."""
        try:
            state = read_state(folder)
        except TrainingError:
            return None
        return state and state["about"]

    @property
    def best_path(self) -> Path:
        """The weights of the epoch with the lowest validation loss."""
        return self._path("best", self.kept_epoch)

    @property
    def epochs_done(self) -> int:
        """How many epochs are kept."""
        return len(self.history)

    @property
    def epochs_since_lowest_loss(self) -> int:
        """How many epochs have ended since that of the lowest validation loss."""
        losses = [row["val_loss"] for row in self.history]
        losses = [loss if math.isfinite(loss) else math.inf for loss in losses]
        return losses[::-1].index(min(losses))

    def _go_on(self) -> None:
        state = read_state(self._folder)
        if state is None:
            return  # nothing was kept yet: the same as the beginning
        if state["about"] != self.about:
            differing = ", ".join(_differing(state["about"], self.about))
            raise TrainingError(
                self._folder,
                f"was trained with a different {differing}",
                "use the same options and photos, or fine-tune from its weights: --from "
                f"{shlex.quote(str(self._folder.parent))} instead of --resume",
            )
        self.history, self.kept_epoch = state["history"], state["best_epoch"]
        self.out_of_fold = _read_scores(self._folder)

    def restore(self, model: keras.Model) -> None:
        """Load the last epoch's weights and the optimizer's state into a compiled model."""
        if self.epochs_done:
            model.optimizer.build(model.trainable_variables)
            self._load(model, "last", self.epochs_done)

    def restore_best(self, model: keras.Model) -> None:
        """Load the weights of the epoch that is kept; none if none is done."""
        if self.kept_epoch:
            self._load(model, "best", self.kept_epoch)

    def _load(self, model: keras.Model, name: str, epoch: int) -> None:
        path = self._path(name, epoch)
        try:
            with warnings.catch_warnings():
                # The best weights are wanted without the optimizer that they were saved with.
                warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
                model.load_weights(path)
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(path, "is damaged", "omit --resume to train again") from error

    def keep_best(self, model: keras.Model, val_loss: float, which: str) -> None:
        """Keep the weights as they were validated: each (LAST), or if none was better (BEST)."""
        before = [row["val_loss"] for row in self.history if math.isfinite(row["val_loss"])]
        if which == LAST or not self.kept_epoch or val_loss <= min(before, default=math.inf):
            self.kept_epoch = self.epochs_done + 1
            self._save(model, "best", self.kept_epoch)

    def keep(self, model: keras.Model, metrics: dict[str, float]) -> None:
        """Keep an epoch that has ended; what is no longer needed goes."""
        self.history.append({"epoch": self.epochs_done + 1, **metrics})
        self._save(model, "last", self.epochs_done)
        if self.epochs_done == 1 and self.out_of_fold:
            write(self._folder / SCORES, json.dumps(self.out_of_fold).encode())
        state = {"about": self.about, "history": self.history, "best_epoch": self.kept_epoch}
        write(self._folder / STATE, json.dumps(state).encode())
        needed = {self._path("last", self.epochs_done), self._path("best", self.kept_epoch)}
        for path in self._folder.glob("*.weights.h5"):
            if path not in needed:
                path.unlink()

    def _save(self, model: keras.Model, name: str, epoch: int) -> None:
        content = _Memory()
        model.save_weights(content)
        path = self._path(name, epoch)
        try:
            if self._older:
                shutil.rmtree(self._folder)
                self._older = False
            self._folder.mkdir(parents=True, exist_ok=True)
            write(path, content.getvalue())
        except OSError as error:
            raise OutputError(path, f"cannot be written ({error.strerror})", ROOM) from error
        except OutputError as error:
            raise OutputError(path, error.fault, ROOM) from error

    def _path(self, name: str, epoch: int) -> Path:
        return self._folder / f"{name}-{epoch:04}.weights.h5"

    def callback(self, recipe: Recipe) -> keras.callbacks.Callback:
        """What keeps each epoch in Keras's loop, and stops it `patience` epochs after the best.

        It must come before `SwapEMAWeights`, which takes the averaged weights out again as the
        validation ends.
        """
        return _Keep(self, recipe)


def _differing(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Name what differs, each with what it was and is where that is short: `epochs (3, not 20)`."""
    found = []
    for name, value in now.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            found += _differing(old, value)
        elif value != old:
            simple = all(isinstance(v, int | float | None) for v in (value, old))
            found.append(f"{name} ({value}, not {old})" if simple else name)
    return found


def _read_scores(folder: Path) -> dict[str, list[float]]:
    """The scores out of fold; none where the training has none, or they cannot be read."""
    try:
        scores: dict[str, list[float]] = json.loads((folder / SCORES).read_text())
        return scores
    except (OSError, ValueError):
        return {}


class _Memory(io.BytesIO):
    """A weights file in memory: HDF5 crashes where it meets a full disk.

    Keras goes by the end of a name to know what it is to write.
    """

    def __str__(self) -> str:
        return "memory.weights.h5"


class _Keep(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    def __init__(self, checkpoint: Checkpoint, recipe: Recipe) -> None:
        super().__init__()
        self._checkpoint, self._recipe = checkpoint, recipe

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Let what dropout draws depend on the epoch alone, also in a resumed training."""
        for layer in layers_of(self.model):
            if isinstance(layer, keras.layers.Dropout):
                state = layer.seed_generator.state
                state.assign([int(state.numpy()[0]), epoch * DRAWS])

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._checkpoint.keep_best(self.model, float((logs or {})["loss"]), self._recipe.keep)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End a training that diverged: no later step brings it back."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise TrainingError(
                "the training",
                f"diverged: the loss of epoch {self._checkpoint.epochs_done + 1} is not finite",
                "use a lower --learning-rate, or --precision float32",
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        checkpoint = self._checkpoint
        checkpoint.keep(self.model, {name: float(value) for name, value in (logs or {}).items()})
        patience = self._recipe.patience
        if patience is not None and checkpoint.epochs_since_lowest_loss >= patience:
            self.model.stop_training = True
