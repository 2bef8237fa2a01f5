"""Suspected label errors: folds, scores out of fold, their order, and what is written of them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import reports

from convert.data.cache import DecodedPhotos
from convert.data.dataset import labels_of, load
from convert.measure.head import PENALTIES, fit_head
from convert.measure.label_errors import folds_of, out_of_fold, suspects, suspicion
from convert.measure.scores import Accuracy
from convert.report.page import pictures, report_html
from convert.report.sheet import sheet
from convert.report.suspects import SuspectPhotos, find_suspects
from convert.report.tables import few_photos_words


def clusters(
    per_class: int, num_labels: int, seed: int = 0, apart: float = 3.0
) -> tuple[np.ndarray, np.ndarray]:
    """Features that lie about a centre for each label: (n, 40) float32, and (n,) labels."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 1, (num_labels, 40))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    labels = np.repeat(np.arange(num_labels), per_class)
    features = centres[labels] + random.normal(0, 1, (len(labels), 40))
    return features.astype(np.float32), labels


def test_a_head_finds_what_separates_the_labels() -> None:
    features, labels = clusters(100, 3)
    head = fit_head(features, labels, np.ones(300, np.float32), 3)
    assert (head.scores(features).argmax(1) == labels).mean() > 0.95
    # The gradient is nothing: a change of any weight makes the loss no smaller.
    logits = features @ head.kernel + head.bias
    assert np.allclose(head.scores(features), np.exp(logits) / np.exp(logits).sum(1)[:, None])
    assert np.abs((head.scores(features) - np.eye(3)[labels]).sum(0)).max() < 0.1


def test_weights_let_photos_count_more() -> None:
    features, labels = clusters(50, 2, apart=0.5)
    weights = np.where(labels == 0, 9, 1).astype(np.float32)
    even = fit_head(features, labels, np.ones(100, np.float32), 2).scores(features)
    heavy = fit_head(features, labels, weights, 2).scores(features)
    assert (heavy.argmax(1) == 0).sum() > (even.argmax(1) == 0).sum()


def test_folds_keep_groups_whole_and_labels_even() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    groups = random.integers(0, 40, 100) + 1000 * labels
    fold = folds_of(labels, groups, 5)
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]
    for group in np.unique(groups):
        assert len(set(fold[groups == group])) == 1
    counts = np.array([np.bincount(labels[fold == number], minlength=3) for number in range(5)])
    assert counts[:, 0].min() >= 8
    assert counts[:, 1].min() >= 4
    assert counts[:, 2].min() >= 1


def test_fewer_groups_than_folds_make_fewer_folds() -> None:
    labels, groups = np.array([0, 0, 1, 1, 0, 1]), np.array([1, 1, 2, 2, 3, 3])
    assert folds_of(labels, groups, 5).max() == 2
    with pytest.raises(ValueError, match="two or more groups"):
        out_of_fold(np.ones((6, 2), np.float32), labels, np.ones(6, np.int64), 2)


@pytest.mark.parametrize("num_labels", [2, 5])
def test_planted_errors_stand_first(num_labels: int) -> None:
    features, labels = clusters(600 // num_labels, num_labels)
    random = np.random.default_rng(1)
    planted = random.permutation(600)[:30]
    wrong = labels.copy()
    wrong[planted] = (wrong[planted] + random.integers(1, num_labels, 30)) % num_labels
    _, scores = out_of_fold(features, wrong, np.arange(600), num_labels)
    first = np.argsort(-suspicion(scores, wrong))[:60]
    assert np.isin(planted, first).mean() >= 0.7
    found = suspects(scores, wrong)
    doubt = suspicion(scores, wrong)[[suspect.index for suspect in found]]
    assert (np.diff(doubt) <= 0).all()
    assert all(suspect.score > suspect.own_score for suspect in found)
    known = [s for s in found if s.index in planted and s.likelier == labels[s.index]]
    assert len(known) >= 21


def test_labels_that_the_features_tell_need_no_higher_penalty() -> None:
    features, labels = clusters(40, 3)
    assert out_of_fold(features, labels, np.arange(120), 3)[0] == PENALTIES[0]


def test_a_photo_is_not_scored_by_a_head_that_saw_it() -> None:
    # Labels are drawn: whoever saw them is right, whoever did not is at chance.
    random = np.random.default_rng(2)
    features = random.normal(0, 1, (200, 300)).astype(np.float32)
    labels = random.integers(0, 2, 200)
    seen = fit_head(features, labels, np.ones(200, np.float32), 2).scores(features)
    penalty, unseen = out_of_fold(features, labels, np.arange(200), 2)
    assert penalty == PENALTIES[-1]  # the features tell nothing
    assert (seen.argmax(1) == labels).mean() > 0.95
    assert 0.35 < (unseen.argmax(1) == labels).mean() < 0.65


def test_suspects_are_listed_with_photo_and_set(drawn: Path, tmp_path: Path) -> None:
    photos = DecodedPhotos(load(drawn, 0), (32, 32), tmp_path)
    known = (*photos.dataset.train, *photos.dataset.val)
    own = np.eye(3)[labels_of(known)] * 0.8 + 0.1
    own[-1] = np.roll(own[-1], 1)  # the last of val
    scores = {photo.sha256: row for photo, row in zip(known, own.tolist(), strict=True)}
    found = find_suspects(photos, drawn, scores)
    assert found is not None
    assert found.count == 1
    assert found.accuracy.correct == len(known) - 1
    (row,) = csv.DictReader(io.StringIO(found.csv.decode()))
    names = photos.dataset.labels
    label = known[-1].label
    assert (row["set"], row["label"], row["likelier"]) == ("val", names[label], names[label - 2])
    assert (drawn / row["path"]).samefile(known[-1].path)
    assert found.png is not None
    assert found.png.startswith(b"\x89PNG")
    del scores[known[0].sha256]
    assert find_suspects(photos, drawn, scores) is None


def test_few_photos_are_reported_with_a_cross_validated_accuracy() -> None:
    found = SuspectPhotos(Accuracy(48, 60), (), 0, None, b"")
    few = few_photos_words(reports.report(suspects=found))
    assert few.startswith("30 photos of hotdog are few. Cross-validation over the 60 photos of ")
    assert "is right on 0.800 (0.682 to 0.882). Expect this of other photos" in few
    assert "240 photos would halve this interval" in few
    many = {name: {"hotdog": 20, "nothotdog": 500} for name in ("train", "val", "test")}
    assert few_photos_words(reports.report(suspects=found, counts=many)) == ""
    assert few_photos_words(reports.report()) == ""  # nothing was cross-validated
    # Four times as many photos: about half the interval.
    low, high = Accuracy(48, 60).interval
    narrower = Accuracy(192, 240).interval
    assert (narrower[1] - narrower[0]) / (high - low) == pytest.approx(0.5, abs=0.03)


def test_the_report_lists_suspects() -> None:
    png = sheet([(np.zeros((8, 8, 3), np.uint8), "cup; rather key")])
    lines = ("cup/1.jpg: cup, rather key (0.9)",)
    found = SuspectPhotos(Accuracy(9, 10), lines, 1, png, b"")
    report = reports.report(suspects=found)
    drawn = pictures(report)
    assert drawn["suspects.png"] == png
    page = report_html(report, drawn).decode()
    assert "For 1 photos another label is likelier" in page
    assert "cup/1.jpg: cup, rather key (0.9)" in page
    clean = reports.report(suspects=SuspectPhotos(Accuracy(10, 10), (), 0, None, b""))
    assert (
        "No photo has a likelier label than its own."
        in report_html(clean, pictures(clean)).decode()
    )
    plain = reports.report()
    assert "Suspected label errors" not in report_html(plain, pictures(plain)).decode()
