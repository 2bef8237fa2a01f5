"""The augmentation: each kind does what it says, within its spread, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from convert.names import AUGMENTATIONS
from convert.training.augment import LARGEST, Augmentation, affine, augment, light
from edge.image.preprocess import Pixels

SIZE = (48, 64)


def smooth(seed: int = 0) -> Pixels:
    """An image without sharp edges, (48, 64, 3), values around 60..200."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    phases = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = [np.sin(x / 9 + phase) + np.cos(y / 7 - phase) for phase in phases]
    return (130 + 35 * np.stack(waves, -1)).astype(np.uint8)


def drawn(augmentation: Augmentation, pixels: Pixels, count: int = 40) -> list[Pixels]:
    return [augment(pixels, augmentation, np.random.default_rng(seed)) for seed in range(count)]


def test_nothing_changes_without_a_strength() -> None:
    for variation in drawn(Augmentation.none(), smooth(), 3):
        assert np.array_equal(variation, smooth())


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_dtype_and_the_input_are_kept(name: str) -> None:
    pixels = smooth()
    pixels.setflags(write=False)  # as a mapped file's
    for variation in drawn(getattr(Augmentation, name)(), pixels):
        assert variation.shape == pixels.shape
        assert variation.dtype == np.uint8
    assert np.array_equal(pixels, smooth())


@pytest.mark.parametrize("name", ["camera", "scratch", "tutorial"])
def test_the_same_seed_draws_alike_and_another_does_not(name: str) -> None:
    augmentation = getattr(Augmentation, name)()
    first, again = (drawn(augmentation, smooth(), 10) for _ in range(2))
    assert np.array_equal(first, again)
    assert len({variation.tobytes() for variation in first}) == 10


@pytest.mark.parametrize(("kind", "axis"), [("horizontal_flip", 1), ("vertical_flip", 0)])
def test_a_flip_alone_is_the_picture_or_exactly_its_mirror_image(kind: str, axis: int) -> None:
    pixels = smooth()
    mirrored = 0
    for variation in drawn(Augmentation(**{kind: True}), pixels):
        same, flipped = (np.array_equal(variation, p) for p in (pixels, np.flip(pixels, axis)))
        assert same or flipped
        mirrored += flipped
    assert 0 < mirrored < 40


def matrices(augmentation: Augmentation, count: int = 200) -> np.ndarray:
    return np.array([affine(augmentation, SIZE, np.random.default_rng(s)) for s in range(count)])


def test_shifts_reach_their_spread_and_no_farther() -> None:
    moves = matrices(Augmentation(shift=0.1))[:, :, 2]
    limits = 0.1 * np.array([SIZE[1], SIZE[0]])
    assert (np.abs(moves) <= limits).all()
    assert (np.abs(moves).max(0) > 0.9 * limits).all()


def test_rotation_turns_about_the_centre() -> None:
    turned = matrices(Augmentation(rotation=15))
    angles = np.rad2deg(np.arctan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 13 < np.abs(angles).max() <= 15
    middle = np.array([31.5, 23.5, 1])
    assert np.allclose(turned @ middle, middle[:2])


def test_the_window_may_shrink_more_than_it_grows() -> None:
    zooms = matrices(Augmentation(zoom_in=0.5, zoom_out=0.1))[:, 0, 0]
    assert 0.5 <= zooms.min() < 0.55
    assert 1.05 < zooms.max() <= 1.1


def test_a_crop_lies_anywhere_within_the_picture() -> None:
    corners = np.array([[0, 0, 1], [SIZE[1] - 1, SIZE[0] - 1, 1]]).T
    windows = matrices(Augmentation(zoom_in=0.6, crop=True)) @ corners  # (n, xy, 2 corners)
    # A pixel is half within the image when its centre lies on the edge.
    assert windows.min() >= -0.5
    assert (windows.max(0).max(-1) <= np.array([SIZE[1], SIZE[0]]) - 0.5).all()
    assert windows[:, 0, 0].max() > 0.4 * SIZE[1]  # some begin far to the right


def test_edges_are_repeated_not_black() -> None:
    white = np.full((*SIZE, 3), 255, np.uint8)
    for variation in drawn(Augmentation.tutorial(), white):
        assert (variation == 255).all()


def test_light_is_one_table_and_cuts_off_at_white() -> None:
    tables = np.array(
        [
            light(Augmentation(exposure=1, contrast=0.2, white_balance=0.5), random)
            for random in map(np.random.default_rng, range(50))
        ]
    )
    assert tables.shape == (50, 256, 1, 3)
    assert (np.diff(tables.astype(int), axis=1) >= 0).all()  # brighter stays brighter
    grey = tables[:, 128, 0].astype(int)  # red, green, blue
    assert grey.min() < 110
    assert grey.max() > 150
    assert np.ptp(grey[:, 0] - grey[:, 2]) > 30  # warm and cold


@pytest.mark.parametrize("kind", ["blur", "noise", "jpeg", "erase"])
def test_a_share_of_the_pictures_is_changed(kind: str) -> None:
    strength = {"blur": 0.05, "noise": 20, "jpeg": 80, "erase": 0.5}[kind]
    augmentation = Augmentation(**{kind: strength, f"{kind}_share": 0.5})
    changed = [not np.array_equal(v, smooth()) for v in drawn(augmentation, smooth())]
    assert 8 < sum(changed) < 32


def test_blur_takes_detail_away_and_noise_adds_it() -> None:
    rough = np.random.default_rng(0).integers(60, 200, (*SIZE, 3), np.uint8)

    def detail(pixels: Pixels) -> float:
        return np.abs(np.diff(pixels.astype(int), axis=0)).mean()

    for variation in drawn(Augmentation(blur=0.05, blur_share=1), rough):
        assert detail(variation) < detail(rough)
        assert abs(variation.mean() - rough.mean()) < 2
    for variation in drawn(Augmentation(noise=10, noise_share=1), smooth()):
        assert detail(variation) > detail(smooth())
        assert 2 < np.std(variation.astype(int) - smooth()) < 10.5


def test_jpeg_keeps_red_red() -> None:
    red = np.zeros((*SIZE, 3), np.uint8)
    red[..., 0] = 200
    for variation in drawn(Augmentation(jpeg=60, jpeg_share=1), red, 5):
        assert np.abs(variation.astype(int) - red).max() < 8


def test_erasing_hides_at_most_its_share() -> None:
    hidden = [
        (variation != smooth()).any(-1).mean()
        for variation in drawn(Augmentation(erase=0.3, erase_share=1), smooth())
    ]
    assert 0.2 < max(hidden) <= 0.32  # its sides are rounded to pixels


def test_strength_scales_everything_in_one_place() -> None:
    half, camera = Augmentation.camera().scaled(0.5), Augmentation.camera()
    for field in dataclasses.fields(camera):
        before, after = getattr(camera, field.name), getattr(half, field.name)
        scales = not isinstance(before, bool) and not field.name.endswith("_share")
        assert after == (before / 2 if scales else before), field.name
    assert camera.scaled(1) == camera
    without_flip = dataclasses.replace(camera.scaled(0), horizontal_flip=False)
    assert np.array_equal(drawn(without_flip, smooth(), 3), [smooth()] * 3)


def test_an_excess_of_strength_stays_within_reason() -> None:
    wild = Augmentation.scratch().scaled(10)
    assert all(getattr(wild, name) <= most for name, most in LARGEST.items())
    assert len(drawn(wild, smooth())) == 40
