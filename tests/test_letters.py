"""Letters of other scripts in the report's images: never two that look the same."""

from __future__ import annotations

import numpy as np

from convert.report.letters import dejavu, font_for, lacking, spelled
from convert.report.plots import confusion_png
from convert.report.sheet import sheet


def test_letters_that_the_usual_font_has_stay() -> None:
    assert spelled("café №7 Жук") == "café №7 Жук"
    assert font_for("café") == dejavu()
    assert lacking("cat") == frozenset()


def test_two_scripts_never_look_the_same() -> None:
    assert lacking("猫a犬") == {"猫", "犬"}
    for one, other in (("猫", "犬"), ("\U000f0001", "\U000f0002")):
        drawn = [spelled(one), spelled(other)]
        fonts = [font_for(text) for text in drawn]
        assert drawn[0] != drawn[1]
        assert all(font != dejavu() or not lacking(t) for font, t in zip(fonts, drawn, strict=True))


def test_sheets_and_plots_of_them_differ() -> None:
    tile = np.zeros((20, 20, 3), np.uint8)
    assert sheet([(tile, "猫")]) != sheet([(tile, "犬")])
    scores, labels = np.eye(2, dtype=np.float32), np.arange(2)
    plots = [confusion_png(scores, labels, names) for names in (("猫", "a"), ("犬", "a"))]
    assert plots[0] != plots[1]
