"""Where the evidence lies, and how the report shows it."""

from __future__ import annotations

import numpy as np
import pytest
import reports

from convert.measure.evidence import evidence
from convert.report.page import pictures, report_html
from edge.image.heat import heated


def maps_with(place: tuple[int, int], label: int, count: int = 8, side: int = 7) -> np.ndarray:
    """Maps of noise, on which one place speaks for one label."""
    maps = np.random.default_rng(label).normal(0, 0.1, (count, side, side, 3)).astype(np.float32)
    maps[:, place[0], place[1], label] += 20
    return maps


def test_evidence_is_what_speaks_for_a_label_against_the_others() -> None:
    maps = maps_with((3, 2), label=1)
    found = evidence(maps, np.full(8, 1))
    assert found.shape == (8, 7, 7)
    assert np.allclose(found.sum((1, 2)), 1, atol=1e-5)
    assert (found.reshape(8, -1).argmax(1) == 3 * 7 + 2).all()
    # What all labels have in common is evidence for none.
    common = maps + np.linspace(0, 50, 49).reshape(7, 7)[:, :, None]
    assert np.allclose(evidence(common.astype(np.float32), np.full(8, 1)), found, atol=1e-4)


def test_maps_without_evidence_are_even() -> None:
    found = evidence(np.zeros((2, 4, 4, 3), np.float32), np.array([0, 1]))
    assert np.allclose(found, 1 / 16)


def test_heat_colours_the_place_and_leaves_the_rest() -> None:
    photo = np.full((70, 70, 3), 100, np.uint8)
    heat = np.zeros((7, 7), np.float32)
    heat[5, 1] = 0.5
    over = heated(photo, heat)
    assert over[54, 15].tolist() == pytest.approx([208, 30, 30], abs=10)
    assert np.abs(over[:35].astype(int) - 100).max() <= 3


def test_the_report_shows_evidence() -> None:
    heat = np.random.default_rng(0).random((60, 7, 7)).astype(np.float32)
    report = reports.report(heat=heat)
    drawn = pictures(report)
    assert drawn["evidence.png"].startswith(b"\x89PNG")
    assert "Where the evidence for the predicted label lies" in report_html(report, drawn).decode()
    plain = reports.report()
    assert "evidence.png" not in pictures(plain)
    assert "Evidence" not in report_html(plain, pictures(plain)).decode()
