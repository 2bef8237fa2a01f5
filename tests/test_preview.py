"""The preview: what a person looks at before training."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.errors import DatasetError, OutputError
from convert.names import AUGMENTATIONS
from convert.steps import preview
from edge.errors import EdgeError, ImageError
from edge.image.preprocess import read_image, resized


def show(*arguments: object) -> int:
    """Run the preview, small."""
    parser = argparse.ArgumentParser(prog="python -m convert preview")
    preview.add_arguments(parser)
    return preview.main(parser.parse_args(["--image-size", "64", *map(str, arguments)]))


@pytest.fixture
def photo(drawn: Path) -> Path:
    return drawn / "cup" / "0003.jpg"


def test_thirty_variations_of_a_photo_with_its_class_as_prefix(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(photo, "-o", tmp_path / "new" / "preview") == 0
    folder = tmp_path / "new" / "preview"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [*(f"cup-{number:02}.jpg" for number in range(1, 31)), "cup-sheet.png"]
    assert len({(folder / name).read_bytes() for name in names}) == 31
    assert read_image(folder / "cup-01.jpg").shape == (64, 64, 3)
    assert capsys.readouterr().out.splitlines() == [
        f"{folder / 'cup-*.jpg'}: 30 variations of {photo}",
        str(folder / "cup-sheet.png"),
    ]


def test_the_sheet_begins_with_the_original(photo: Path, tmp_path: Path) -> None:
    show(photo, "-o", tmp_path, "--count", 3)
    page = read_image(tmp_path / "cup-sheet.png")
    original = Image.fromarray(resized(photo, (64, 64))).resize(
        (160, 160), Image.Resampling.BICUBIC
    )
    assert np.abs(page[8:168, 8:168].astype(int) - np.asarray(original)).max() <= 1


def test_the_same_seed_writes_the_same_files(photo: Path, tmp_path: Path) -> None:
    for folder, seed in (("first", 1), ("again", 1), ("other", 2)):
        show(photo, "-o", tmp_path / folder, "--count", 2, "--seed", seed)
    first, again, other = (
        (tmp_path / folder / "cup-1.jpg").read_bytes() for folder in ("first", "again", "other")
    )
    assert first == again != other


@pytest.mark.parametrize("options", [("--augmentation", "none"), ("--strength", "0")])
def test_without_augmentation_a_variation_is_what_the_network_sees(
    photo: Path, tmp_path: Path, options: tuple[str, str]
) -> None:
    show(photo, "-o", tmp_path, "--count", 2, *options)
    for number in (1, 2):  # strength 0 leaves the flip
        seen = read_image(tmp_path / f"cup-{number}.jpg").astype(int)
        expected = resized(photo, (64, 64)).astype(int)
        assert min(np.abs(seen - p).mean() for p in (expected, expected[:, ::-1])) < 4


def test_a_folder_gets_a_row_for_photos_of_each_class(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(drawn, "-o", tmp_path, "--count", 4) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    height, width, _ = read_image(tmp_path / "sheet.png").shape
    assert width == 8 + 5 * 168  # the original and 4 variations
    assert height > 9 * 168  # 3 photos of 3 classes
    assert capsys.readouterr().out == f"{tmp_path / 'sheet.png'}\n"


def test_a_folder_with_train_shows_train(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "train").symlink_to(drawn)
    chosen = preview.chosen_photos(tmp_path / "photos", seed=0)
    assert [label for label, _ in chosen] == ["cup"] * 3 + ["fish"] * 3 + ["key"] * 3


def test_many_classes_get_a_row_each_up_to_a_sheet_that_can_be_looked_at(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}").mkdir()
        (tmp_path / f"{number:02}" / "photo.jpg").symlink_to(photo)
    assert len(preview.chosen_photos(tmp_path, seed=0)) == 24
    assert "the first 24 of 30 classes are shown" in capsys.readouterr().err


def test_a_bad_photo_among_good_ones_is_named_and_the_rest_is_shown(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos" / "cup"
    photos.mkdir(parents=True)
    (photos / "good.jpg").symlink_to(photo)
    (photos / "bad.jpg").write_bytes(photo.read_bytes()[:200])
    assert show(tmp_path / "photos", "-o", tmp_path / "out") == 1
    assert (tmp_path / "out" / "sheet.png").exists()
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "bad.jpg: is damaged" in complaint


def failing(arguments: tuple[object, ...], kind: type[EdgeError]) -> str:
    with pytest.raises(kind) as caught:
        show(*arguments)
    return str(caught.value)


def test_bad_input_is_one_line_and_leaves_no_file(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty" / "cup").mkdir(parents=True)
    assert "no such file" in failing((tmp_path / "absent.jpg", "-o", out), ImageError)
    assert "not an image" in failing((tmp_path / "text.jpg", "-o", out), ImageError)
    assert "contains no images" in failing((tmp_path / "empty", "-o", out), DatasetError)
    assert not out.exists()
    out.write_text("a file")
    assert "cannot be created" in failing((photo, "-o", out), OutputError)


def test_variations_never_land_among_the_photos(drawn: Path, photo: Path) -> None:
    for arguments in ((photo, "-o", photo.parent), (drawn, "-o", drawn / "preview")):
        assert "is inside" in failing(arguments, OutputError)
    assert not (drawn / "preview").exists()


@pytest.mark.parametrize(
    "options",
    [("--count", "0"), ("--strength", "-1"), ("--strength", "nan"), ("--augmentation", "wild"),
     ("--image-size", "8"), ("--image-size", "9x9x9"), ("--seed", "-1")],
)  # fmt: skip
def test_wrong_usage_says_what_must_be(
    photo: Path, options: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        show(photo, *options)
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_the_help_teaches_with_examples() -> None:
    parser = argparse.ArgumentParser(prog="python -m convert preview")
    preview.add_arguments(parser)
    stream = io.StringIO()
    parser.print_help(stream)
    for words in ("examples:", "photos/hotdog/4.jpg", *AUGMENTATIONS):
        assert words in stream.getvalue()
