"""Give a model made elsewhere what our own files carry, and measure it on photos."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.data.dataset import Dataset, labels_of, load
from convert.data.photo import Photo, sha256_of
from convert.data.reading.set_names import unknown_labels
from convert.errors import ConversionError, DatasetError
from convert.measure.evaluate import Evaluation, evaluate
from convert.measure.scores import (
    Scores,
    compare,
    fit_temperature,
    log_scores,
    tempered,
)
from convert.measure.thresholds import Thresholds, choose_thresholds
from convert.report.report import Report, Variant, accuracy_json
from convert.tflite.alter import with_temperature
from convert.tflite.embed import embed
from convert.tflite.verify import golden_vectors
from edge import __version__
from edge.classifier.metadata import read_metadata
from edge.image.preprocess import (
    PREPROCESSING_VERSION,
    Framing,
    Normalization,
    Pixels,
    Size,
    resized,
)
from edge.names import EDGE_JSON_SCHEMA

SEED = 0  # of the split
DRAWN = "a share of PHOTOS, too optimistic if the model was trained on these"


@dataclass(frozen=True)
class Draft:
    """A .tflite file, and the metadata that it gets."""

    name: str  # of the model, for people
    variant: str  # a key of convert.names.VARIANTS, or "wrapped"
    content: bytes
    labels: tuple[str, ...]
    normalization: Normalization
    framing: Framing
    facts: Mapping[str, Any]

    def embedded(self) -> bytes:
        """Return the file's content with all of it."""
        operators = read_metadata(self.content, self.name).operators
        about = {
            "schema": EDGE_JSON_SCHEMA,
            "edge_classify": __version__,
            "labels": list(self.labels),
            "operators": [list(operator) for operator in operators],
            **self.facts,
            "preprocessing": {
                **self.facts.get("preprocessing", {}),
                "version": PREPROCESSING_VERSION,
                "resize": self.framing.resize,
                "filter": self.framing.filter,
            },
        }
        return embed(
            self.content,
            name=self.name,
            labels=self.labels,
            normalization=self.normalization,
            edge=about,
        )

    def telling(self, **facts: Any) -> Draft:
        """Return it with more facts."""
        return dataclasses.replace(self, facts={**self.facts, **facts})

    def verified(self) -> Draft:
        """Return it with golden vectors, by every installed runtime. Raises: ConversionError."""
        with self.file() as path:
            golden = golden_vectors(path)
        if golden.crashes or not golden.runtimes:
            fault = (*golden.crashes, *golden.faults, "does not run on any installed runtime")[0]
            raise ConversionError(self.name, fault, "use another model")
        return self.telling(golden=golden.as_dict(), runtimes=list(golden.runtimes))

    def evaluated(self, photos: Sequence[Photo], name: str) -> Evaluation:
        """Measure it on photos, by the code that runs on the device."""
        with self.file() as path:
            return evaluate(path, photos, f"{self.variant} on {name}")

    @contextlib.contextmanager
    def file(self) -> Iterator[Path]:
        """Write it to a file that is gone afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            path.write_bytes(self.embedded())
            yield path


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class MeasuredDraft:
    """A file with what was measured of it."""

    draft: Draft
    val: Evaluation
    thresholds: Thresholds
    test: Evaluation | None = None


# Photos -------------------------------------------------------------------------------------------


def labelled_photos(folder: Path, labels: Sequence[str]) -> Dataset:
    """Read photos whose folders are called as a model's labels; their labels become its own.

    Case, and underscores for blanks, do not matter where only one label fits.

    Raises: DatasetError.
    """
    found = load(folder, SEED)
    places = [_place(name, labels, folder) for name in found.labels]

    def relabelled(photos: Sequence[Photo]) -> tuple[Photo, ...]:
        return tuple(dataclasses.replace(photo, label=places[photo.label]) for photo in photos)

    return dataclasses.replace(
        found,
        labels=tuple(labels),
        train=relabelled(found.train),
        val=relabelled(found.val),
        test=relabelled(found.test),
    )


def _place(name: str, labels: Sequence[str], folder: Path) -> int:
    """The index of the label that a folder is called after."""
    if name in labels:
        return labels.index(name)
    alike = [index for index, label in enumerate(labels) if _plain(label) == _plain(name)]
    if len(alike) != 1:
        known = ", ".join(labels[:5]) + ", ..." * (len(labels) > 5)
        fault = f"{name} is not a label of the model ({known})"
        raise DatasetError(folder, fault, "rename the folders to match the model's labels")
    return alike[0]


def _plain(label: str) -> str:
    return label.replace("_", " ").casefold().strip()


# Measuring ----------------------------------------------------------------------------------------


def tempered_draft(draft: Draft, reference: Scores, photos: Sequence[Photo]) -> Draft:
    """Fold the temperature at which photos are likeliest into a file, if it ends in a softmax."""
    temperature = fit_temperature(log_scores(reference), labels_of(photos))
    content = with_temperature(draft.content, temperature)
    if content is None:
        return draft.telling(temperature=1.0)
    return dataclasses.replace(draft, content=content).telling(temperature=round(temperature, 4))


def measured(draft: Draft, val: Sequence[Photo], precision: float) -> MeasuredDraft:
    """Verify a file, measure it on validation photos, and choose its thresholds there.

    Its metadata carries both; what is chosen is also measured on test, by `finished`.
    """
    verified = draft.verified()
    found = verified.evaluated(val, "val")
    unknown = unknown_labels(draft.labels)
    thresholds = choose_thresholds(found.scores, found.labels, precision, unknown)
    facts = thresholds.facts(draft.labels) | {"accuracy": {"val": accuracy_json(found.accuracy)}}
    return MeasuredDraft(verified.telling(**facts), found, thresholds)


def finished(made: MeasuredDraft, test: Sequence[Photo]) -> MeasuredDraft:
    """Measure on test what was chosen, and write the accuracies into the metadata."""
    found = made.draft.evaluated(test, "test")
    accuracies = {"val": accuracy_json(made.val.accuracy), "test": accuracy_json(found.accuracy)}
    draft = made.draft.telling(accuracy=accuracies)
    return dataclasses.replace(made, draft=draft, test=found)


def variant_of(made: MeasuredDraft, file: str, reference: Scores | None) -> Variant:
    """Return a file's row in the report; `reference` are the original model's scores on val."""
    content = made.draft.embedded()
    with made.draft.file() as path:
        sha256 = sha256_of(path)
    return Variant(
        name=made.draft.variant,
        file=file,
        size_bytes=len(content),
        sha256=sha256,
        val=made.val,
        test=made.test,
        runtimes=tuple(made.draft.facts["runtimes"]),
        comparison=None
        if reference is None
        else compare(_tempered(reference, made), made.val.scores, made.val.labels),
    )


def _tempered(reference: Scores, made: MeasuredDraft) -> Scores:
    """The scores that the original gives with the temperature that the file has."""
    temperature = float(made.draft.facts["temperature"])
    return tempered(reference, temperature) if temperature != 1 else reference


def report_of(
    chosen: MeasuredDraft,
    variants: Sequence[Variant],
    dataset: Dataset,
    val: Sequence[Photo],
    reference: Scores,
    *,
    command: str,
    reason: str,
    size: Size,
    failures: Sequence[str] = (),
    original: str = "",
    summary: str = "",
) -> Report:
    """Return the report of files that were made of a model from elsewhere.

    Args:
        chosen: the file to ship.
        variants: all files, measured.
        dataset: the photos, by the model's labels.
        val: the photos that temperature, threshold and file were chosen on.
        reference: (num_val, num_labels) scores before the temperature.
        command: to repeat it, without paths.
        reason: why the file was chosen.
        size: (height, width) of the model's input.
        failures: a line for each file that could not be made.
        original: what the files are compared with; "" for nothing.
        summary: of its network.
    """
    draft = chosen.draft
    counts = dataset.counts()
    return Report(
        name=draft.name,
        command=command,
        labels=draft.labels,
        counts=counts,
        fingerprint=dataset.fingerprint,
        config={
            "normalization": str(draft.normalization),
            "framing": draft.framing.resize,
            "image_size": size,
        },
        history=(),
        summary=summary,
        keras_val=reference,
        temperature=float(draft.facts["temperature"]),
        variants=tuple(variants),
        failures=tuple(failures),
        chosen=next(each for each in variants if each.name == draft.variant),
        reason=reason,
        thresholds=chosen.thresholds,
        val_pixels=LazyPixels(val, size, draft.framing),
        val_names=tuple(f"{draft.labels[photo.label]}/{photo.path.name}" for photo in val),
        worth="the folders of val and test" if not dataset.drawn else DRAWN,
        left_out=tuple(map(str, dataset.left_out)),
        original=original,
    )


class LazyPixels(Sequence[Pixels]):
    """Photos as a model sees them, (h, w, 3) uint8, each decoded when it is looked at."""

    def __init__(self, photos: Sequence[Photo], size: Size, framing: Framing) -> None:
        """Args: the photos; (height, width) of the input; which part of them it sees."""
        self._photos, self._size, self._framing = photos, size, framing
        self.shape = (len(photos), *size, 3)

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self._photos)

    def __getitem__(self, index: Any) -> Any:
        """Decode one, or several of a slice."""
        if isinstance(index, slice):
            return np.stack([self[place] for place in range(*index.indices(len(self)))])
        return resized(self._photos[index].path, self._size, self._framing)
