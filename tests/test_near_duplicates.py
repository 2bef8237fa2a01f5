"""Look-alikes: what must match, what must not, and that many photos are no trouble."""

from __future__ import annotations

import errno
import io
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from convert.data.grouping import copies as copies_module
from convert.data.grouping import features, index, looks
from convert.data.grouping.copies import copies
from convert.data.grouping.features import Features, Shelf, features_of
from convert.data.grouping.index import PAIR, candidates
from convert.data.grouping.joined import connected
from convert.data.grouping.looks import LOOK, SIDE, look
from convert.data.grouping.near_duplicates import Seen, group, groups
from convert.data.photo import Photo, sha256_of
from convert.errors import OutputError

Change = Callable[[Image.Image], Image.Image]


def photos_of(*paths: Path) -> list[Photo]:
    return [Photo(path, 0, sha256_of(path)) for path in paths]


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """An image with large and small shapes, as photos have: noise of every scale."""
    random = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3), np.float32)
    for cells in (3, 6, 12, 24, 48):
        rough = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        smooth = np.asarray(rough.resize(size, Image.Resampling.BICUBIC), np.float32)
        total += (smooth - 128) / cells
    return Image.fromarray(np.clip(128 + total / total.std() * 50, 0, 255).astype(np.uint8))


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def crop(share: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        width, height = image.size
        across, down = round(width * share / 2), round(height * share / 2)
        return image.crop((across, down, width - across, height - down))

    return change


def compressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=25)
    return Image.open(stream)


CHANGES: dict[str, Change] = {
    "smaller": lambda image: image.resize((90, 70)),
    "larger": lambda image: image.resize((700, 500)),
    "compressed": compressed,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "grey": lambda image: image.convert("L"),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cropped by 3 %": crop(0.03),
    "cropped by 20 %": crop(0.2),
    "cropped by 30 %": crop(0.3),
    "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "rotated by 15 degrees": lambda image: image.rotate(15, Image.Resampling.BICUBIC),
    "mirrored and rotated": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(
        -20, Image.Resampling.BICUBIC
    ),
    "mirrored, rotated, brighter": lambda image: ImageEnhance.Brightness(
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(25, Image.Resampling.BICUBIC)
    ).enhance(1.3),
    "sheared": lambda image: image.transform(
        image.size, Image.Transform.AFFINE, (1, 0.2, -24, 0, 1, 0), Image.Resampling.BICUBIC
    ),
    "shifted by 15 %": lambda image: image.transform(
        image.size, Image.Transform.AFFINE, (1, 0, 48, 0, 1, 36), Image.Resampling.BICUBIC
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_looks_alike(name: str, tmp_path: Path) -> None:
    originals = [saved(scene(seed), tmp_path / f"{seed}.png") for seed in range(8)]
    copies = [saved(CHANGES[name](scene(seed)), tmp_path / f"{seed}-copy.png") for seed in range(8)]
    numbers = groups(photos_of(*originals, *copies))
    assert numbers.dtype == np.int64
    assert numbers[:8].tolist() == numbers[8:].tolist()
    assert len(set(numbers.tolist())) == 8


def test_different_pictures_do_not_look_alike(tmp_path: Path) -> None:
    paths = [saved(scene(seed, (64, 48)), tmp_path / f"{seed}.png") for seed in range(300)]
    assert len(set(groups(photos_of(*paths)).tolist())) == 300


def test_one_shape_in_other_colours_and_places_is_another_photo(drawn: Path) -> None:
    paths = sorted(drawn.glob("*/*.jpg"))
    assert len(set(groups(photos_of(*paths)).tolist())) > 0.95 * len(paths)


def plain(colour: tuple[int, int, int], noise: float, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    pixels = np.array(colour) + random.normal(0, noise, (60, 80, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("noise", [0, 1, 3])
def test_plain_pictures_are_no_group(noise: float, tmp_path: Path) -> None:
    colours = [(value, value // 2, 255 - value) for value in range(0, 250, 10)]
    paths = [
        saved(plain(colour, noise, seed), tmp_path / f"{seed}.png")
        for seed, colour in enumerate(colours)
    ]
    assert len(set(groups(photos_of(*paths)).tolist())) == len(paths)


def test_gradients_of_other_directions_are_no_group(tmp_path: Path) -> None:
    paths = []
    for angle in range(0, 360, 30):
        down, across = np.mgrid[-1:1:60j, -1:1:80j]
        slope = np.cos(np.radians(angle)) * across + np.sin(np.radians(angle)) * down
        grey = np.clip(128 + 60 * slope, 0, 255).astype(np.uint8)
        paths.append(saved(Image.fromarray(grey), tmp_path / f"{angle}.png"))
    assert len(set(groups(photos_of(*paths)).tolist())) > len(paths) // 2


def test_exact_copies_are_a_group_even_where_they_are_plain_or_unreadable(tmp_path: Path) -> None:
    for name in ("a", "b"):
        saved(Image.new("RGB", (50, 40), "red"), tmp_path / f"{name}-red.png")
        (tmp_path / f"{name}-broken.jpg").write_bytes(b"no image")
    saved(Image.new("RGB", (50, 40), "blue"), tmp_path / "c-blue.png")
    (tmp_path / "c-broken.jpg").write_bytes(b"another broken one")
    a_broken, a_red, b_broken, b_red, blue, broken = groups(
        photos_of(*sorted(tmp_path.iterdir()))
    ).tolist()
    assert a_broken == b_broken
    assert a_red == b_red
    assert len({a_broken, a_red, blue, broken}) == 4


def test_a_chain_of_look_alikes_is_one_group(tmp_path: Path) -> None:
    wide = scene(1, (600, 240))
    frames = [wide.crop((18 * n, 0, 320 + 18 * n, 240)) for n in range(15)]  # a camera that turns
    paths = [saved(frame, tmp_path / f"{n:02}.png") for n, frame in enumerate(frames)]
    numbers = groups(photos_of(paths[0], paths[-1])).tolist()
    assert numbers[0] != numbers[1]
    assert len(set(groups(photos_of(*paths)).tolist())) == 1


def test_order_and_names_do_not_matter(tmp_path: Path) -> None:
    paths = [
        saved(scene(seed // 2), tmp_path / f"{seed}.jpg", quality=60 + seed) for seed in range(8)
    ]
    photos = photos_of(*paths)
    forwards, backwards = groups(photos), groups(photos[::-1])[::-1]
    for numbers in (forwards, backwards):
        assert [numbers[0] == number for number in numbers] == [True] * 2 + [False] * 6
    assert len(set(zip(forwards.tolist(), backwards.tolist(), strict=True))) == 4


def test_no_photo_is_no_group() -> None:
    assert groups([]).shape == (0,)


def test_what_was_computed_is_kept(tmp_path: Path) -> None:
    paths = [
        saved(scene(seed // 2), tmp_path / f"{seed}.jpg", quality=60 + seed) for seed in range(6)
    ]
    photos = photos_of(*paths)
    first = groups(photos, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    for path in paths:
        path.unlink()
    assert groups(photos, tmp_path / "cache").tolist() == first.tolist()
    kept.write_bytes(kept.read_bytes()[:100])  # cut short: computed anew, here from nothing
    assert len(set(groups(photos, tmp_path / "cache").tolist())) == 6


def test_a_photo_that_is_repaired_is_looked_at_again(tmp_path: Path) -> None:
    good, other = (saved(scene(0), tmp_path / f"{q}.jpg", quality=q) for q in (60, 90))
    photos = photos_of(good, other)
    content = good.read_bytes()
    good.unlink()
    assert len(set(groups(photos, tmp_path / "cache").tolist())) == 2
    good.write_bytes(content)
    assert len(set(groups(photos, tmp_path / "cache").tolist())) == 1


@pytest.mark.parametrize("alike", [False, True])
def test_ten_thousand_photos_are_compared_in_seconds(alike: bool) -> None:
    random = np.random.default_rng(0)
    looks = np.zeros(10_000, LOOK)
    looks["bits"] = random.integers(0, 256, (1 if alike else 10_000, 32), np.uint8)
    seen = [Seen(seen_look, None) for seen_look in looks]
    started = time.process_time()
    numbers = group([f"{n:064x}" for n in range(10_000)], seen)
    assert time.process_time() - started < 60
    assert len(set(numbers.tolist())) == (1 if alike else 10_000)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many tiles, the last of which are cut."""
    monkeypatch.setattr(looks, "ROWS", 7)
    monkeypatch.setattr(looks, "COLUMNS", 5)


def random_looks(number: int) -> np.ndarray:
    """Looks of which many are alike in some orientation, by turns of about 50 bits."""
    random = np.random.default_rng(5)
    looks = np.zeros(number, LOOK)
    signs = random.random((number // 4, 1, 16, 16)) < 0.5
    signs = np.repeat(signs, 4, axis=1).reshape(-1, 16, 16)
    odd = np.arange(16) % 2 == 1
    for turn, of_photo in enumerate(signs):
        if turn % 4 == 1:
            of_photo ^= odd  # mirrored
        elif turn % 4 == 2:
            of_photo[:] = of_photo.T ^ odd[:, None]  # turned
        of_photo ^= random.random((16, 16)) < random.uniform(0, 0.16)
    looks["bits"] = np.packbits(signs.reshape(number, -1), axis=1)
    return looks


def test_the_hashes_agree_as_all_pairs_in_all_orientations_do(small_tiles: None) -> None:
    seen = random_looks(40)
    seen["colours"] = np.arange(40)[:, None, None, None]  # alike only among some neighbours
    signs = np.unpackbits(seen["bits"], axis=1).reshape(-1, 16, 16).astype(int) * 2 - 1
    odd = np.where(np.arange(16) % 2, -1, 1)
    pairs = []
    for one in range(40):
        for other in range(one + 1, 40):
            views = [
                turned * down[:, None] * across
                for turned in (signs[one], signs[one].T)
                for down in (odd, odd**2)
                for across in (odd, odd**2)
            ]
            differ = min((view != signs[other]).ravel()[1:].sum() for view in views)
            near = differ <= looks.ALIKE_BITS and 2 * (other - one) <= 10
            if differ <= looks.SAME_BITS or near:
                pairs.append((one, other))
    expected = connected(np.arange(40), pairs)
    numbers = group([f"{n:064x}" for n in range(40)], [Seen(each, None) for each in seen])
    assert numbers.tolist() == expected.tolist()
    assert 5 < len(set(expected.tolist())) < 38


def edited(number: int) -> list[Features]:
    """The features of some scenes, and of each rotated a little."""
    scenes = [scene(seed, (240, 180)) for seed in range(number)]
    rotated = [image.rotate(10, Image.Resampling.BICUBIC) for image in scenes]
    return [features_of(np.asarray(image)) for image in scenes + rotated]


def test_candidates_are_few_and_are_found_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = edited(30)
    for entries, chunk, counted in ((1 << 22, 1 << 26, 1 << 15), (2000, 1 << 14, 7)):
        monkeypatch.setattr(index, "ENTRIES", entries)
        monkeypatch.setattr(index, "PHOTOS", counted)
        monkeypatch.setattr(features, "CHUNK", chunk)
        pairs = candidates(photos, np.arange(60))
        assert {(n, n + 30) for n in range(30)} <= {*zip(pairs["one"], pairs["other"], strict=True)}
        assert (pairs["one"] < pairs["other"]).all()
        assert len(pairs) <= 60 * index.CANDIDATES
    known = np.arange(60) % 30  # each with its rotated copy
    pairs = candidates(photos, known)
    assert not (known[pairs["one"]] == known[pairs["other"]]).any()


def test_a_group_of_many_copies_takes_few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = scene(1, (400, 300))
    draw = np.random.default_rng(2)
    frames = [
        features_of(np.asarray(wide.crop((left, top, left + 300, top + 225))))
        for left, top in draw.integers(0, 60, (50, 2)).tolist()
    ]
    pairs = candidates(frames, np.arange(50))
    compared = []
    verified = copies_module._verified

    def counting(*args: object) -> bool:
        compared.append(1)
        return verified(*args)

    monkeypatch.setattr(copies_module, "_verified", counting)
    found = copies(frames, pairs, np.arange(50))
    assert len(set(connected(np.arange(50), found).tolist())) == 1
    assert len(compared) < 150  # of 1,225 pairs


def test_more_photos_than_are_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = random_looks(400)
    random = np.random.default_rng(3)
    seen["colours"] = np.repeat(random.integers(-60, 60, (100, 1, 1, 2)), 4, axis=0)
    whole = looks.groups_alike(seen)
    for name, value in (("ROWS", 16), ("COLUMNS", 16), ("REACH", 32)):
        monkeypatch.setattr(looks, name, value)
    assert looks.groups_alike(seen).tolist() == whole.tolist()
    assert len(set(whole.tolist())) < 200


def test_features_on_a_shelf_are_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(features, "CHUNK", 1 << 16)  # three photos and a bit
    images = [scene(0), scene(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT), scene(1)] * 4
    held = [features_of(np.asarray(image)) for image in images]
    shelf = Shelf(tmp_path / "cache")
    put = [shelf.put(one) for one in held]
    for ours, theirs in zip(held, put, strict=True):
        for name in ("points", "bits", "mirrored_points", "mirrored_bits", "grey"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name))
    every = np.array([(*pair, False, 0) for pair in itertools.combinations(range(12), 2)], PAIR)
    found = copies(held, every, np.arange(12))
    assert len(found) > 10
    assert copies(put, every, np.arange(12)) == found
    known = np.arange(12) % 3 // 2  # the scene and its mirror image are one group
    assert copies(put, every, known) == []
    assert not list((tmp_path / "cache").iterdir())  # the file has no name


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(features, "CHUNK", 1 << 15)
    monkeypatch.setattr(features, "reserve", full)
    paths = [saved(scene(seed), tmp_path / f"{seed}.jpg") for seed in range(4)]
    with pytest.raises(OutputError, match=r"cannot be written .No space left on device.; free"):
        groups(photos_of(*paths), tmp_path / "cache")


def test_a_look_is_of_the_pixels_alone() -> None:
    pixels = np.asarray(scene(3).resize((SIDE, SIDE)))
    assert look(pixels) == look(pixels.copy())
    assert look(pixels) != look(255 - pixels)


def test_real_photos_of_different_sets_do_not_look_alike(hotdog_photos: Path) -> None:
    paths = [p for name in ("test", "val") for p in (hotdog_photos.parent / name).glob("*/*")]
    paths = sorted(paths)[::3]
    assert len(set(groups(photos_of(*paths)).tolist())) >= 0.995 * len(paths)


def test_real_photos_match_their_copies(hotdog_photos: Path, tmp_path: Path) -> None:
    paths = sorted(hotdog_photos.glob("*/*.jpg"))[::12]
    for number, path in enumerate(paths):
        copy = crop(0.05)(Image.open(path)).resize((200, 160))
        saved(copy, tmp_path / f"{number}.jpg", quality=50)
    numbers = groups(photos_of(*paths, *(tmp_path / f"{n}.jpg" for n in range(len(paths)))))
    found = np.mean(numbers[: len(paths)] == numbers[len(paths) :])
    assert found > 0.95
