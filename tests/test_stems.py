"""Stems of file names: copies that tools made of one photo, and photos that are only numbered."""

from __future__ import annotations

import pytest

from convert.data.grouping.stems import pairs_of, stems_of

OTHERS = [f"other{n}" for n in range(12)]


@pytest.mark.parametrize(
    "names",
    [
        ("cat", "cat_rot15", "cat_rot-15", "cat_flip", "cat-flipud", "cat_crop", "cat_aug3"),
        ("IMG_1_jpg.rf.0123abcd0123abcd", "IMG_1_jpg.rf.ffffabcd0123abcd", "IMG_1"),
        ("cat", "cat_0_1234", "cat_0_77"),
        ("aug_7_1234", "aug_7_9876543"),
        ("cat", "cat (2)", "cat (3)", "cat-copy", "cat - Copy", "cat copy 2", "cat - Copy (2)"),
        ("cat_rot15_flip", "cat_bright1.3", "cat"),
        ("photo.jpg_rotated_90", "photo.jpg"),
    ],
)
def test_copies_have_one_stem(names: tuple[str, ...]) -> None:
    assert len(set(stems_of([*names, *OTHERS])[: len(names)])) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("cat (1)", "cat (2)", "cat (3)"),  # as Windows numbers what is renamed together
        ("IMG_1001", "IMG_1002"),
        ("IMG_20240531_120000", "IMG_20240531_120001"),
        ("20240531_120000", "20240531_120001"),
        ("102501987_3cdb8e5394_n", "102501987_4cdb8e5394_n"),
        ("crop", "zoom", "rot15"),
        ("acrobat", "acrobat2"),
    ],
)
def test_numbered_photos_have_stems_of_their_own(names: tuple[str, ...]) -> None:
    assert len(set(stems_of([*names, *OTHERS])[: len(names)])) == len(names)


def test_a_stem_that_most_of_a_class_share_says_nothing() -> None:
    assert pairs_of([f"img_aug_{n}" for n in range(30)]) == []
    assert pairs_of([f"img_aug_{n}" for n in range(10)] + OTHERS) != []
