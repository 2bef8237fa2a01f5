"""The split: groups stay whole, and the shares come as close as they allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.data.photo import Photo
from convert.data.split import split


def photos_in(*sizes: int, label: int = 0) -> tuple[list[Photo], dict[str, int]]:
    """Photos in groups of these sizes, and each photo's group."""
    photos, alike = [], {}
    for group, size in enumerate(sizes):
        for number in range(size):
            sha256 = f"{label:02}{group:03}{number:03}"
            photos.append(Photo(Path(sha256), label, sha256))
            alike[sha256] = 1000 * label + group
    return photos, alike


def held(*sizes: int, share: float = 0.15, seed: int = 0) -> int:
    """How many photos are held out; groups are whole on both sides."""
    photos, alike = photos_in(*sizes)
    kept, out = split(photos, alike, share, seed)
    assert len(kept) + len(out) == len(photos)
    assert not {alike[p.sha256] for p in kept} & {alike[p.sha256] for p in out}
    return len(out)


@pytest.mark.parametrize("seed", range(5))
def test_the_share_is_met_where_groups_allow(seed: int) -> None:
    assert held(*[1] * 100, seed=seed) == 15
    assert held(*[2] * 50, seed=seed) == 14  # 14 and 16 are as near
    assert held(40, *[1] * 60, seed=seed) == 15
    assert held(*[5] * 20, seed=seed) == 15


@pytest.mark.parametrize("seed", range(5))
def test_the_share_is_as_near_as_groups_allow(seed: int) -> None:
    assert held(*[20] * 5, seed=seed) == 20  # not 0
    assert held(97, 3, seed=seed) == 3
    assert held(50, 50, seed=seed) == 50


def test_what_cannot_be_split_stays_whole() -> None:
    assert held(30) == 0
    assert held(1) == 0


def test_each_class_gets_its_share() -> None:
    (a, alike_a), (b, alike_b) = photos_in(*[1] * 40), photos_in(*[1] * 80, label=1)
    _, out = split([*a, *b], alike_a | alike_b, 0.15, 0)
    assert [sum(photo.label == label for photo in out) for label in (0, 1)] == [6, 12]


def test_the_order_of_the_photos_does_not_matter() -> None:
    photos, alike = photos_in(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5)
    forwards, backwards = (split(order, alike, 0.2, 1)[1] for order in (photos, photos[::-1]))
    assert set(forwards) == set(backwards)
