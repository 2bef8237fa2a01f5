"""The plots are images of a sensible size, whatever the labels are called and how many."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from reports import ODD, history, report, scores, variant

from convert.measure.scores import Accuracy
from convert.report import plots

LABEL_SETS = {
    "two": ("hotdog", "nothotdog"),
    "odd": ODD,
    "ten": tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
    "hundred": tuple(f"a label with a long name, the {i:03d}th of many" for i in range(100)),
}
EACH = pytest.mark.parametrize("names", LABEL_SETS.values(), ids=LABEL_SETS)


def opened(png: bytes) -> Image.Image:
    """The image, which must hold more than one colour, and none of it at the very edge."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    pixels = np.asarray(image)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10
    assert (edge == 255).all()  # nothing is cut off
    return image


def of(names: tuple[str, ...], n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % len(names)
    return scores(labels, len(names), seed=1), labels


def test_the_curves_of_a_training() -> None:
    image = opened(plots.history_png(history()))
    assert image.width > image.height > 300


def test_where_fine_tuning_began_is_shown() -> None:
    plain = tuple({k: v for k, v in row.items() if k != "stage"} for row in history())
    green = tuple(int(plots.GREEN[i : i + 2], 16) for i in (1, 3, 5))

    def has_green(png: bytes) -> bool:
        return bool((np.asarray(opened(png)) == green).all(axis=2).any())

    assert has_green(plots.history_png(history()))
    assert not has_green(plots.history_png(plain))


def test_one_epoch_is_a_history() -> None:
    opened(plots.history_png(history(6)[:1]))


@EACH
def test_confusion_is_readable_with_few_and_many_labels(names: tuple[str, ...]) -> None:
    image = opened(plots.confusion_png(*of(names), names))
    assert max(image.size) < 1400


def test_many_labels_without_a_mistake_are_drawn_too() -> None:
    names = LABEL_SETS["hundred"]
    labels = np.arange(100)
    opened(plots.confusion_png(np.eye(100, dtype=np.float32), labels, names))


@EACH
def test_roc_and_precision_recall(names: tuple[str, ...]) -> None:
    assert opened(plots.roc_png(*of(names), names)).width == 1080


@EACH
def test_reliability(names: tuple[str, ...]) -> None:
    found, labels = of(names)
    opened(plots.reliability_png(found, found, labels, 1.5))


def test_the_variants() -> None:
    found = report()
    opened(plots.variants_png(found.variants, found.chosen, found.keras_accuracy))


def test_variants_without_a_mistake_or_a_right_answer() -> None:
    labels = np.zeros(5, np.int64)
    one = np.tile(np.float32([[1, 0]]), (5, 1))
    both = [variant("good", one, labels), variant("bad", one[:, ::-1], labels)]
    opened(plots.variants_png(both, both[0], Accuracy(5, 5)))


def test_many_points_are_thinned_and_the_ends_stay() -> None:
    random = np.random.default_rng(0)
    curve = plots.Curve(np.linspace(0, 1, 50_000), random.random(50_000), 0.5)
    thin = plots._thinned(curve)
    assert len(thin.x) <= plots.MOST_POINTS
    assert (thin.x[0], thin.x[-1], thin.area) == (0.0, 1.0, 0.5)
