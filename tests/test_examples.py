"""Which photos are shown, and how."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from reports import photos, report

from convert.report.examples import answers_png, mistakes, sample


def test_every_label_gives_a_photo_in_turn() -> None:
    labels = np.array([0] * 500 + [1] * 3 + [2] * 50)
    shown = labels[sample(labels)]
    assert len(shown) == len(set(sample(labels).tolist())) == 20
    assert np.bincount(shown).tolist() == [9, 3, 8] or np.bincount(shown).tolist() == [8, 3, 9]


def test_the_same_seed_shows_the_same_photos() -> None:
    labels = np.arange(200) % 2
    assert sample(labels, seed=1).tolist() == sample(labels, seed=1).tolist()
    assert sample(labels, seed=1).tolist() != sample(labels, seed=2).tolist()


def test_few_photos_are_all_shown() -> None:
    assert sorted(sample(np.array([0, 1, 1])).tolist()) == [0, 1, 2]


def test_the_worst_mistakes_are_the_surest() -> None:
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.05, 0.95]], np.float32)
    assert mistakes(scores, np.array([1, 1, 1, 0])).tolist() == [3, 0, 1]
    assert mistakes(scores, np.array([1, 1, 1, 0]), count=2).tolist() == [3, 0]
    assert mistakes(scores, np.array([0, 0, 1, 1])).tolist() == []


def test_twenty_answers_make_four_rows_of_five() -> None:
    found = report()
    val = found.chosen.val
    png = answers_png(found.val_pixels, val.scores, val.labels, found.labels, sample(val.labels))
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert image.width > 5 * 160
    assert image.height > 4 * 160


def test_right_and_wrong_look_different() -> None:
    scores = np.array([[0.9, 0.1]], np.float32)
    pixels, names, first = photos(12)[:1], ("cup", "fish"), np.array([0])
    right, wrong = (
        answers_png(pixels, scores, np.array([label]), names, first) for label in (0, 1)
    )
    assert right != wrong
