"""Photos that are kept as JPEG images: nearly the same pixels, each once, whatever interrupts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import mounted_disk
from PIL import Image

from convert.data.cache import decode
from convert.data.jpegs import RECORD, JpegRows
from convert.data.photo import Photo, PixelRows, sha256_of
from convert.errors import DatasetError, OutputError
from edge.image.preprocess import resized

SIZE = (64, 80)


def drawn(folder: Path, count: int) -> list[Photo]:
    """Smooth images, as JPEG is made for."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (4, 5, 3), np.uint8)
        Image.fromarray(coarse).resize((200, 160)).save(folder / f"{number:03}.png")
    return [Photo(path, 0, sha256_of(path)) for path in sorted(folder.iterdir())]


def encoded(photos: list[Photo], cache: Path) -> PixelRows:
    return decode(photos, SIZE, cache, "train", as_jpegs=True)


def difference(pixels: np.ndarray, photo: Photo) -> float:
    wanted = resized(photo.path, SIZE).astype(int)
    return float(np.abs(pixels.astype(int) - wanted).mean())


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    return drawn(tmp_path / "photos", 7)


def test_it_reads_as_an_array_of_nearly_the_same_pixels(
    photos: list[Photo], tmp_path: Path
) -> None:
    rows = encoded(photos, tmp_path / "cache")
    assert (len(rows), rows.shape) == (7, (7, *SIZE, 3))
    for index, photo in enumerate(photos):
        assert rows[index].dtype == np.uint8
        assert difference(rows[index], photo) < 3
    assert np.array_equal(rows[2:5], [rows[2], rows[3], rows[4]])
    assert np.array_equal(rows[np.array([6, 0])], [rows[-1], rows[0]])
    assert rows[[]].shape == (0, *SIZE, 3)
    pixels = sum(file.stat().st_size for file in (tmp_path / "cache").glob("*.data"))
    assert pixels < 7 * SIZE[0] * SIZE[1] * 3 / 5


def test_sets_and_runs_share_what_is_encoded(photos: list[Photo], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = encoded(photos[:5], cache)[:]
    size = next(cache.glob("*.data")).stat().st_size
    for photo in photos[:5]:
        photo.path.write_bytes(b"no image any more")
    again = decode([photos[4], photos[0], photos[6]], SIZE, cache, "val", as_jpegs=True)
    assert np.array_equal(again[0], first[4])
    assert np.array_equal(again[1], first[0])
    assert difference(again[2], photos[6]) < 3
    assert size < next(cache.glob("*.data")).stat().st_size < size * 1.5


@pytest.mark.parametrize("rest", [b"", b"x" * 20, b"\0" * RECORD.itemsize * 2 + b"x"])
@pytest.mark.parametrize("lost", [0, 1])
def test_what_an_interruption_leaves_is_completed(
    rest: bytes, lost: int, photos: list[Photo], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    whole = encoded(photos, cache)[:]
    data, rows = next(cache.glob("*.data")), next(cache.glob("*.rows"))
    records = np.frombuffer(rows.read_bytes(), RECORD)
    rows.write_bytes(records[: 7 - lost].tobytes() + rest[:20])
    data.write_bytes(data.read_bytes() + rest)
    assert np.array_equal(encoded(photos, cache)[:], whole)
    data.write_bytes(data.read_bytes()[: int(records["start"][3]) + 5])  # images that were lost
    assert np.array_equal(encoded(photos, cache)[:], whole)


def test_a_damaged_image_is_named_instead_of_learned_from(
    photos: list[Photo], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    encoded(photos, cache)
    data = next(cache.glob("*.data"))
    content = bytearray(data.read_bytes())
    content[-300] ^= 0xFF
    data.write_bytes(content)
    rows = encoded(photos, cache)
    assert isinstance(rows, JpegRows)
    assert difference(rows[0], photos[0]) < 3
    with pytest.raises(DatasetError, match="is damaged; remove it, and run again"):
        rows[6]


def test_an_unreadable_photo_is_named_and_the_others_are_kept(
    photos: list[Photo], tmp_path: Path
) -> None:
    photos[2].path.write_bytes(b"no image any more")
    broken = [Photo(photo.path, 0, sha256_of(photo.path)) for photo in photos]
    with pytest.raises(DatasetError, match=r"1 photo of train: cannot be read: .*002.png"):
        encoded(broken, tmp_path / "cache")
    others = [photo for photo in photos if photo is not photos[2]]
    for photo in others:
        photo.path.write_bytes(b"no image any more")
    assert len(encoded(others, tmp_path / "cache")) == 6


def test_a_full_disk_is_one_line_and_keeps_what_is_done(
    photos: list[Photo], tmp_path: Path
) -> None:
    with mounted_disk(tmp_path, "1m") as disk:
        (disk / "ballast").write_bytes(bytes(1_000_000))
        with pytest.raises(OutputError, match=r"cannot be written .No space left on device."):
            encoded(drawn(tmp_path / "more", 60), disk / "cache")
        (disk / "ballast").unlink()
        assert len(encoded(photos, disk / "cache")) == 7
