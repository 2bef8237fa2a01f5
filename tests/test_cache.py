"""The cache of decoded photos: the right pixels, each photo decoded once, whatever interrupts."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAMS, ROOT, mounted_disk
from PIL import Image

from convert.data import cache as caches
from convert.data.cache import decode
from convert.data.photo import Photo, sha256_of
from convert.errors import DatasetError, OutputError
from edge.image.preprocess import InputSpec, Normalization, preprocess, resized

SIZE = (64, 80)


def write_photo(path: Path, seed: int) -> Path:
    """A small PNG, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def photos_of(*paths: Path) -> list[Photo]:
    return [Photo(path, 0, sha256_of(path)) for path in paths]


def drawn_photos(folder: Path, count: int) -> list[Photo]:
    return photos_of(*(write_photo(folder / f"{n:03}.png", n) for n in range(count)))


def write_copies(folder: Path, jpeg: bytes, count: int) -> None:
    """Files of one image that differ in a JPEG comment."""
    folder.mkdir()
    for number in range(count):
        comment = b"\xff\xfe\x00\x06%04d" % number
        (folder / f"{number:04}.jpg").write_bytes(jpeg[:2] + comment + jpeg[2:])


def damage(photo: Photo) -> None:
    """Make a photo unreadable by its path, so that only what is decoded already can be had."""
    photo.path.write_bytes(b"no image any more")


def row_of(photo: Photo) -> np.ndarray:
    return resized(photo.path, SIZE)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """JPEGs of the kinds that cameras, scanners and print shops make."""
    folder = tmp_path_factory.mktemp("kinds")
    rough = np.random.default_rng(5).integers(0, 256, (12, 16, 3), np.uint8)
    picture = Image.fromarray(rough).resize((200, 150), Image.Resampling.BICUBIC)
    paths = []

    def save(image: Image.Image, name: str, **options: object) -> None:
        paths.append(folder / f"{name}.jpg")
        image.save(paths[-1], quality=90, **options)

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(picture, f"exif{orientation}", exif=exif)
    save(picture.convert("L"), "grey")
    save(picture.convert("CMYK"), "cmyk")
    save(picture.resize((4000, 3000)), "12-megapixel")
    return paths


@pytest.mark.parametrize(
    ("dtype", "normalization"), [("float32", Normalization()), ("uint8", None)]
)
def test_the_cache_holds_what_the_device_computes_byte_for_byte(
    kinds: list[Path], tmp_path: Path, dtype: str, normalization: Normalization | None
) -> None:
    spec = InputSpec(0, (1, *SIZE, 3), np.dtype(dtype), normalization=normalization)
    cached = decode(photos_of(*kinds), SIZE, tmp_path, "train")
    assert cached.shape == (len(kinds), *SIZE, 3)
    assert not cached.flags.writeable
    for path, pixels in zip(kinds, cached, strict=True):
        on_device = preprocess(path, spec)
        assert pixels[None].astype(dtype).tobytes() == on_device.tobytes(), path.name


def test_a_second_decode_reuses_the_cache(tmp_path: Path) -> None:
    photos = drawn_photos(tmp_path / "photos", 2)
    first = decode(photos, SIZE, tmp_path / "cache", "train").copy()
    for photo in photos:
        photo.path.unlink()  # so that it cannot be decoded again
    assert np.array_equal(decode(photos, SIZE, tmp_path / "cache", "train"), first)


def test_other_photos_or_another_size_are_decoded_anew(tmp_path: Path) -> None:
    a, b = drawn_photos(tmp_path, 2)
    first = decode([a], SIZE, tmp_path / "cache", "train").copy()
    assert not np.array_equal(decode([b], SIZE, tmp_path / "cache", "train"), first)
    assert decode([a], (32, 32), tmp_path / "cache", "train").shape == (1, 32, 32, 3)


def test_no_photo_makes_an_empty_array(tmp_path: Path) -> None:
    assert decode([], SIZE, tmp_path, "val").shape == (0, *SIZE, 3)


def test_only_a_changed_photo_is_decoded_again(tmp_path: Path) -> None:
    photos = drawn_photos(tmp_path / "photos", 5)
    before = decode(photos, SIZE, tmp_path / "cache", "train").copy()
    for index in (0, 1, 3, 4):
        damage(photos[index])
    (photos[2],) = photos_of(write_photo(photos[2].path, 99))
    after = decode(photos, SIZE, tmp_path / "cache", "train")
    assert np.array_equal(after[[0, 1, 3, 4]], before[[0, 1, 3, 4]])
    assert np.array_equal(after[2], row_of(photos[2]))
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1  # the older one is gone


def test_photos_that_move_between_the_sets_are_not_decoded_again(tmp_path: Path) -> None:
    photos = drawn_photos(tmp_path / "photos", 6)
    rows = [row_of(photo) for photo in photos]
    for name, part in (("train", photos[:4]), ("val", photos[4:])):
        decode(part, SIZE, tmp_path / "cache", name)
    for photo in photos:
        damage(photo)
    moved = [photos[index] for index in (5, 0, 2, 3)]
    assert np.array_equal(decode(moved, SIZE, tmp_path / "cache", "train")[0], rows[5])


def test_an_unreadable_photo_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    photos = drawn_photos(tmp_path / "photos", 4)
    rows = [row_of(photo) for photo in photos]
    whole = photos[2].path.read_bytes()
    damage(photos[2])
    with pytest.raises(DatasetError) as caught:
        decode(photos_of(*(p.path for p in photos)), SIZE, tmp_path / "cache", "train")
    assert str(photos[2].path) in str(caught.value)
    assert "1 photo of train: cannot be read" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("*.npy"))
    photos[2].path.write_bytes(whole)
    for index in (0, 1, 3):
        damage(photos[index])
    assert np.array_equal(decode(photos, SIZE, tmp_path / "cache", "train"), rows)


def test_a_photo_that_grows_corrupt_between_two_runs_is_named(tmp_path: Path) -> None:
    photos = drawn_photos(tmp_path / "photos", 3)
    decode(photos, SIZE, tmp_path / "cache", "train")
    photos[1].path.write_bytes(photos[1].path.read_bytes()[:60])
    again = photos_of(*(photo.path for photo in photos))  # as the next run's scan sees them
    with pytest.raises(DatasetError, match=r"001\.png is damaged") as caught:
        decode(again, SIZE, tmp_path / "cache", "train")
    assert "000.png" not in str(caught.value)


def test_a_photo_that_changes_during_a_run_is_named(tmp_path: Path) -> None:
    photos = drawn_photos(tmp_path / "photos", 2)
    write_photo(photos[1].path, 50)
    with pytest.raises(DatasetError, match=r"001\.png changed while"):
        decode(photos, SIZE, tmp_path / "cache", "train")


def test_a_photo_that_vanishes_during_a_run_is_named_and_the_others_are_kept(
    tmp_path: Path,
) -> None:
    photos = drawn_photos(tmp_path / "photos", 3)
    photos[1].path.unlink()
    with pytest.raises(DatasetError, match=r"001\.png cannot be read") as caught:
        decode(photos, SIZE, tmp_path / "cache", "train")
    assert "\n" not in str(caught.value)
    kept = [photos[0], photos[2]]
    rows = [row_of(photo) for photo in kept]
    for photo in kept:
        photo.path.unlink()
    assert np.array_equal(decode(kept, SIZE, tmp_path / "cache", "train"), rows)


def test_no_half_written_picture_counts_as_done(tmp_path: Path) -> None:
    photos = drawn_photos(tmp_path / "photos", 4)
    rows = [row_of(photo) for photo in photos]
    broken = write_photo(tmp_path / "photos" / "bad.png", 9)
    broken.write_bytes(b"bad")
    cache = tmp_path / "cache"
    with pytest.raises(DatasetError):
        decode([*photos, *photos_of(broken)], SIZE, cache, "train")
    (partial,) = cache.glob("*.partial")
    content = bytearray(partial.read_bytes())
    content[-5 * 64 * 80 * 3 + 100 : -4 * 64 * 80 * 3] = bytes(64 * 80 * 3 - 100)  # row 0, torn
    partial.write_bytes(content)
    (record,) = cache.glob("*.rows")
    record.write_bytes(record.read_bytes() + b"half a reco")  # as a power cut leaves it
    assert np.array_equal(decode(photos, SIZE, cache, "train"), rows)


@pytest.mark.parametrize("rest", [b"", b"\0" * 17, b"\xff" * 400])
def test_what_a_power_cut_leaves_of_a_record_is_no_picture(tmp_path: Path, rest: bytes) -> None:
    photos = drawn_photos(tmp_path / "photos", 3)
    cache = tmp_path / "cache"
    first = decode(photos, SIZE, cache, "train").copy()
    (pixels,), (record,) = cache.glob("*.npy"), cache.glob("*.rows")
    pixels.rename(pixels.with_suffix(".partial"))
    pixels.with_suffix(".partial").write_bytes(b"")
    record.write_bytes(rest)
    assert np.array_equal(decode(photos, SIZE, cache, "train"), first)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_decode_goes_on_where_it_stopped(tmp_path: Path, how: int) -> None:
    rough = np.random.default_rng(5).integers(0, 256, (1800, 2400, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(rough).save(stream, "JPEG", quality=95)
    write_copies(tmp_path / "photos", stream.getvalue(), 60)  # slow enough to be met in the midst
    cache = tmp_path / "cache"
    command = [sys.executable, PROGRAMS / "decode_photos.py", tmp_path / "photos", cache]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not done_rows(cache) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode
    assert not list(cache.glob("*.npy"))
    done = done_rows(cache)
    assert 0 < len(done) < 60
    photos = photos_of(*sorted((tmp_path / "photos").iterdir()))
    expected = row_of(photos[0])
    for row in done:
        photos[row].path.unlink()
    pixels = decode(photos, SIZE, cache, "train")
    assert np.array_equal(pixels, np.broadcast_to(expected, (60, *SIZE, 3)))


def done_rows(cache: Path) -> set[int]:
    return {int(row) for path in cache.glob("*.rows") for row in caches._records(path)["row"]}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    with mounted_disk(tmp_path, "1m") as disk:
        yield disk


def test_a_full_disk_is_one_line_before_any_work(small_disk: Path, tmp_path: Path) -> None:
    photos = drawn_photos(tmp_path / "photos", 100)  # 1.5 MB
    with pytest.raises(OutputError, match="No space left") as caught:
        decode(photos, SIZE, small_disk / "cache", "train")
    assert "free 2 MB" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((small_disk / "cache").glob("train*"))
    assert len(decode(photos[:40], SIZE, small_disk / "cache", "train")) == 40


def test_a_disk_that_fills_in_the_midst_keeps_what_is_done(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")  # as where space cannot be reserved
    photos = drawn_photos(tmp_path / "photos", 50)  # 0.75 MB
    rows = [row_of(photo) for photo in photos]
    (small_disk / "ballast").write_bytes(bytes(600_000))
    with pytest.raises(OutputError, match="No space left"):
        decode(photos, SIZE, small_disk / "cache", "train")
    done = done_rows(small_disk / "cache")
    assert 0 < len(done) < 50
    (small_disk / "ballast").unlink()
    for row in done:
        damage(photos[row])
    assert np.array_equal(decode(photos, SIZE, small_disk / "cache", "train"), rows)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="cannot be written"):
        decode([], SIZE, tmp_path / "file" / "cache", "train")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says RssAnon")
def test_anonymous_memory_does_not_grow_with_the_photos(tmp_path: Path, drawn: Path) -> None:
    content = next(iter(sorted(drawn.glob("*/*.jpg")))).read_bytes()
    write_copies(tmp_path / "photos", content, 1600)
    taken = {}
    for count in (100, 1600):
        command = [
            sys.executable,
            PROGRAMS / "decode_memory.py",
            tmp_path / "photos",
            tmp_path / str(count),
        ]
        done = subprocess.run([*command, str(count)], cwd=ROOT, capture_output=True, check=True)
        taken[count] = int(done.stdout)
    # 1600 images are 24 MB of pixels
    assert taken[1600] < taken[100] + 6_000, taken


def test_equal_photos_have_equal_rows(tmp_path: Path) -> None:
    a, b = drawn_photos(tmp_path, 2)
    pixels = decode([a, b, a], SIZE, tmp_path / "cache", "train")
    assert np.array_equal(pixels[0], pixels[2])
    assert not np.array_equal(pixels[0], pixels[1])


def test_the_key_is_the_content_not_the_path(tmp_path: Path) -> None:
    a = write_photo(tmp_path / "a.png", 1)
    decode(photos_of(a), SIZE, tmp_path / "cache", "train")
    b = a.rename(tmp_path / "b.png")
    sha256 = hashlib.sha256(b.read_bytes()).hexdigest()
    b.unlink()
    assert len(decode([Photo(b, 0, sha256)], SIZE, tmp_path / "cache", "train")) == 1


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    drawn_photos(tmp_path / "photos", 30)
    command = [
        sys.executable,
        PROGRAMS / "decode_photos.py",
        tmp_path / "photos",
        tmp_path / "cache",
    ]
    both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    names = sorted(path.suffix for path in (tmp_path / "cache").glob("train*"))
    assert names == [".npy", ".rows"]
