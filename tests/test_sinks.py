"""Where sightings go: JSON lines, the newest, the results file, snapshots; on real files."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from sightings import AT, sighting

from edge.errors import ConfigurationError, ImageError
from edge.service.sinks import ReaderGoneError
from edge.service.sinks.jsonlines import JsonLines
from edge.service.sinks.latest import Latest
from edge.service.sinks.results import Results, ResultsSettings
from edge.service.sinks.snapshots import Snapshots, SnapshotSettings


@contextmanager
def full_disk(at_bytes: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, which is told as on a full disk: by an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def numbers(text: str) -> list[int]:
    return [json.loads(line)["frame"] for line in text.splitlines()]


# --- what a record holds


def test_a_record_is_the_results_and_what_the_service_adds() -> None:
    record = sighting(7, "cup", score=0.87654321, changed=True).as_dict()
    assert record["frame"] == 7
    assert record["label"] == record["state"] == "cup"
    assert record["age_ms"] == 4.5
    assert record["captured_at"] == "2026-03-01T12:30:15.250+00:00"
    assert record["event"] == {
        "from": "unknown",
        "to": "cup",
        "score": 0.876543,
        "lasted_s": 3.5,
    }
    assert "event" not in sighting().as_dict()


# --- JSON lines


def test_every_nth_result_and_all_changes_are_lines() -> None:
    for every, wanted in ((1, [1, 2, 3, 4, 5, 6]), (3, [2, 3, 6]), (0, [2])):
        stream = io.StringIO()
        sink = JsonLines(stream, every)
        for number in range(1, 7):
            sink(sighting(number, changed=number == 2))
        assert numbers(stream.getvalue()) == wanted


def test_a_line_is_there_at_once() -> None:
    reading, writing = os.pipe()
    with open(reading) as reader, open(writing, "w") as stream:
        JsonLines(stream)(sighting(3, "clé\n"))
        assert json.loads(reader.readline())["label"] == "clé\n"


def test_a_reader_that_left_is_told_apart() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True)
    with stream, pytest.raises(ReaderGoneError):
        JsonLines(stream)(sighting())


# --- the newest


def test_latest_is_the_newest_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    sink = Latest(path)
    for number in (1, 2):
        sink(sighting(number))
        assert json.loads(path.read_text())["frame"] == number
    assert list(tmp_path.iterdir()) == [path]


def test_a_change_that_comes_late_does_not_turn_it_back(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    sink = Latest(path)
    sink(sighting(2))
    sink(sighting(1, changed=True).late())
    assert json.loads(path.read_text())["frame"] == 2


def test_latest_stays_whole_when_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    sink = Latest(path)
    sink(sighting(1))
    with full_disk(50), pytest.raises(OSError):
        sink(sighting(2))
    assert json.loads(path.read_text())["frame"] == 1
    assert list(tmp_path.iterdir()) == [path]
    sink(sighting(3))
    assert json.loads(path.read_text())["frame"] == 3


# --- the results file

LINE = len(json.dumps(sighting(1000).as_dict())) + 1


def results(path: Path, lines: float = 1e6, keep: int = 3) -> Results:
    """A file for so many lines."""
    return Results(ResultsSettings(str(path), max(lines * LINE / 1e6, 0.001), keep))


def test_results_are_lines_that_a_new_process_goes_on_with(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for number in (1, 2):
        sink = results(path)
        sink(sighting(number))
        sink.close()
        sink.close()
    assert numbers(path.read_text()) == [1, 2]


@pytest.mark.parametrize("keep, kept", [(0, [""]), (1, ["", ".1"]), (2, ["", ".1", ".2"])])
def test_results_rotate(tmp_path: Path, keep: int, kept: list[str]) -> None:
    path = tmp_path / "results.jsonl"
    sink = results(path, lines=5, keep=keep)
    for number in range(1000, 1023):
        sink(sighting(number))
    sink.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name + suffix for suffix in kept]
    text = "".join(Path(f"{path}{suffix}").read_text() for suffix in reversed(kept))
    assert numbers(text) == list(range(1023 - 5 * keep - 3, 1023))
    assert all(Path(f"{path}{suffix}").stat().st_size <= 5 * LINE for suffix in kept)


def test_a_line_is_whole_or_not_there_when_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    sink = results(path)
    sink(sighting(1001))
    for at_bytes in (LINE + LINE // 2, LINE):
        with full_disk(at_bytes), pytest.raises(OSError):
            sink(sighting(1002))
        assert numbers(path.read_text()) == [1001]
    sink(sighting(1003))
    assert numbers(path.read_text()) == [1001, 1003]
    sink.close()


def test_a_line_that_the_power_cut_short_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text('{"frame": 1}\n{"fra')
    sink = results(path)
    sink(sighting(2))
    sink.close()
    first, torn, last = path.read_text().splitlines()
    assert (first, torn, json.loads(last)["frame"]) == ('{"frame": 1}', '{"fra', 2)


@pytest.mark.parametrize("kept", [b"", b'{"frame": 1}\n', b'{"frame": 1}\n{"fra'])
@pytest.mark.parametrize("nulls", [1, 65536, 200_000])
def test_nulls_that_a_power_cut_left_at_the_end_are_removed(
    tmp_path: Path, kept: bytes, nulls: int
) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(kept + bytes(nulls))
    sink = results(path)
    sink(sighting(2))
    sink.close()
    ended = kept if not kept or kept.endswith(b"\n") else kept + b"\n"
    assert path.read_bytes().startswith(ended)
    assert json.loads(path.read_bytes().removeprefix(ended))["frame"] == 2


def test_a_file_that_somebody_took_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    sink = results(path)
    sink(sighting(1))
    path.unlink()
    sink(sighting(2))
    sink.close()
    assert numbers(path.read_text()) == [2]


def test_a_folder_that_is_not_there_is_found_when_it_is(tmp_path: Path) -> None:
    path = tmp_path / "later" / "results.jsonl"
    sink = results(path)
    with pytest.raises(FileNotFoundError):
        sink(sighting(1))
    path.parent.mkdir()
    sink(sighting(2))
    sink.close()
    assert numbers(path.read_text()) == [2]


@pytest.mark.parametrize("wrong", [{"max_mb": 0.0}, {"max_mb": float("nan")}, {"keep": -1}])
def test_wrong_settings_of_results(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=f"results.{next(iter(wrong))}: must be"):
        ResultsSettings("x", **wrong)  # type: ignore[arg-type]


# --- snapshots


class Album:
    """Snapshots in a folder, at a time of the test's own."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder, self.now_s = folder, 50.0
        self.sink = Snapshots(
            SnapshotSettings(str(folder), **settings),  # type: ignore[arg-type]
            lambda: self.now_s,
        )

    def see(self, number: int, state: str = "cup", **more: object) -> None:
        at = AT + timedelta(seconds=number)
        self.sink(sighting(number, state, at=at, **more))  # type: ignore[arg-type]

    @property
    def numbers(self) -> list[int]:
        """The frames that are kept, each an image and its record."""
        jpegs = sorted(self.folder.glob("*.jpg"))
        assert [p.with_suffix(".json") for p in jpegs] == sorted(self.folder.glob("*.json"))
        return [json.loads(p.with_suffix(".json").read_text())["frame"] for p in jpegs]


def test_a_change_is_kept_with_its_record_under_a_name_that_tells(tmp_path: Path) -> None:
    album = Album(tmp_path / "seen" / "here")
    album.see(1)
    album.see(2, changed=True)
    (jpeg,) = album.folder.glob("*.jpg")
    assert jpeg.name == "00000001-20260301T123017.250Z-cup-0.90.jpg"
    with Image.open(jpeg) as image:
        assert (image.format, image.size) == ("JPEG", (64, 48))
    record = json.loads(jpeg.with_suffix(".json").read_text())
    assert (record["occasion"], record["frame"], record["state"]) == ("change", 2, "cup")
    assert len(list(album.folder.iterdir())) == 2


def test_a_clock_that_was_wrong_does_not_choose_what_survives(tmp_path: Path) -> None:
    folder = tmp_path / "seen"
    years = (2026, 2026, 1970, 2026, 2040)  # of the clock when each image was taken
    for number, year in enumerate(years, 1):
        sink = Snapshots(SnapshotSettings(str(folder), max_files=2))  # a run each
        at = AT.replace(year=year)
        sink(sighting(number, changed=True, at=at))
    kept = sorted(folder.glob("*.json"))
    assert [json.loads(path.read_text())["frame"] for path in kept] == [4, 5]
    assert [path.name[:8] for path in kept] == ["00000004", "00000005"]


def test_with_labels_only_a_change_to_one_of_them_counts(tmp_path: Path) -> None:
    album = Album(tmp_path, labels=("fish",))
    album.see(1, "cup", changed=True)
    album.see(2, "fish", changed=True)
    assert album.numbers == [2]


def test_labels_and_low_scores_are_kept_now_and_then(tmp_path: Path) -> None:
    album = Album(tmp_path, on=("label", "low"), labels=("fish",), below=0.4, every_s=10.0)
    for number, state, score in ((1, "fish", 0.9), (2, "cup", 0.3), (3, "cup", 0.5)):
        album.see(number, state, score=score)
        album.now_s += 4
    album.see(4, "cup", score=0.3)
    album.see(5, "cup", changed=True)  # not asked for
    assert album.numbers == [1, 4]


def test_who_asks_gets_the_picture_whatever_the_settings(tmp_path: Path) -> None:
    album = Album(tmp_path, on=())
    album.see(1, changed=True)
    album.see(2, wanted=True)
    album.see(3, wanted=True)
    assert album.numbers == [2, 3]


def test_without_an_occasion_there_is_not_even_a_folder(tmp_path: Path) -> None:
    album = Album(tmp_path / "seen", on=())
    album.see(1, changed=True)
    assert not album.folder.exists()


def test_what_comes_late_has_no_picture_and_is_no_failure(tmp_path: Path) -> None:
    album = Album(tmp_path)
    album.sink(sighting(1, changed=True).late())
    assert album.numbers == []


def test_the_oldest_goes_first_by_number(tmp_path: Path) -> None:
    album = Album(tmp_path, max_files=3)
    for number in range(1, 6):
        album.see(number, changed=True)
    assert album.numbers == [3, 4, 5]


def test_the_oldest_goes_first_by_bytes_also_after_a_restart(tmp_path: Path) -> None:
    noise = Image.effect_noise((400, 300), 100).convert("RGB")
    noise.save(tmp_path / "noise.png")
    for begin in (1, 4, 7):
        album = Album(tmp_path / "seen", max_mb=0.25)
        for number in range(begin, begin + 3):
            album.see(number, changed=True, picture=tmp_path / "noise.png")
        total = sum(path.stat().st_size for path in album.folder.iterdir())
        assert 0.1e6 < total <= 0.25e6
    assert album.numbers[-1] == 9
    assert len(album.numbers) == len(range(10 - len(album.numbers), 10))


def test_a_folder_that_goes_and_comes_back_stays_within_its_quota(tmp_path: Path) -> None:
    album = Album(tmp_path / "seen", max_files=3)
    for number in range(1, 4):
        album.see(number, changed=True)
    album.folder.rename(tmp_path / "away")
    (tmp_path / "seen").write_text("no folder")
    with pytest.raises(OSError):
        album.see(4, changed=True)
    (tmp_path / "seen").unlink()
    (tmp_path / "away").rename(album.folder)
    album.see(5, changed=True)
    assert album.numbers == [2, 3, 5]


def test_a_folder_that_is_deleted_is_made_again(tmp_path: Path) -> None:
    album = Album(tmp_path / "seen")
    album.see(1, changed=True)
    shutil.rmtree(album.folder)
    with pytest.raises(FileNotFoundError):
        album.see(2, changed=True)
    album.see(3, changed=True)
    assert album.numbers == [3]


def test_what_others_put_there_is_neither_counted_nor_deleted(tmp_path: Path) -> None:
    foreign = ["holiday.jpg", "20260101Z-mine.jpg", "A-Z-1.jpg", "notes.json", ".hidden.partial"]
    for name in foreign:
        (tmp_path / name).write_bytes(b"x" * 1000)
    album = Album(tmp_path, max_files=1)
    for number in (1, 2):
        album.see(number, changed=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert set(foreign) < names
    assert len(names) == len(foreign) + 2


def test_what_a_power_cut_left_is_cleared_away(tmp_path: Path) -> None:
    album = Album(tmp_path)
    album.see(1, changed=True)
    (jpeg,) = tmp_path.glob("*.jpg")
    half = tmp_path / jpeg.name.replace("000001", "000007")
    half.with_suffix(".json").write_text("{}")
    (tmp_path / f".{half.name}.partial").write_bytes(b"half an image")
    album = Album(tmp_path)
    album.see(2, changed=True)
    assert album.numbers == [1, 2]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_label_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    album = Album(tmp_path / "seen")
    album.see(1, "../../etc/x y\n", changed=True)
    album.see(2, "杯" * 100, changed=True)
    assert album.numbers == [1, 2]
    assert list(tmp_path.iterdir()) == [tmp_path / "seen"]


def test_a_full_disk_leaves_no_half_of_a_pair(tmp_path: Path) -> None:
    album = Album(tmp_path)
    noise = tmp_path.with_suffix(".png")
    Image.effect_noise((64, 64), 100).save(noise)
    with full_disk(1000), pytest.raises(OSError):
        album.see(1, changed=True, picture=noise)
    assert list(tmp_path.iterdir()) == []
    album.see(2, changed=True, picture=noise)
    assert album.numbers == [2]


def test_a_picture_that_is_gone_is_an_error_of_the_picture(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        Album(tmp_path / "seen").see(1, changed=True, picture=tmp_path / "gone.jpg")


@pytest.mark.parametrize(
    "wrong",
    [
        {"on": ("request",)},
        {"on": ("always",)},
        {"below": 1.5},
        {"every_s": -1.0},
        {"max_files": 0},
        {"max_mb": float("inf")},
    ],
)
def test_wrong_settings_of_snapshots(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=f"snapshots.{next(iter(wrong))}: must be"):
        SnapshotSettings("x", **wrong)  # type: ignore[arg-type]
