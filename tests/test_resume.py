"""Batches of many images: shares of them, results that are resumed, other programs' formats."""

from __future__ import annotations

import collections
import fcntl
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT, run, uncovered
from model_copies import SMALL

from edge.commands.results.resume import EarlierResults
from edge.commands.results.selection import Shard
from edge.errors import SourceError

HOTDOG = ROOT / "tests" / "data" / "hotdog.jpg"
COMMAND = ("-m", "edge", "classify", "-m", str(SMALL))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of images, of which one is damaged."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(60):
        path = folder / f"camera {number % 3}" / f"{number:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        os.link(HOTDOG, path) if number else path.write_bytes(b"damaged")
    return folder


def classify(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return run(*COMMAND, *map(str, arguments), **options)


def sources(path: Path) -> list[str]:
    return [json.loads(line)["source"] for line in path.read_text().splitlines()]


def test_shares_are_disjoint_and_whole_in_any_order(archive: Path) -> None:
    shares = []
    for number in range(1, 4):
        done = classify("-r", archive, "--shard", f"{number}/3", "--format", "jsonl")
        shares.append([json.loads(line)["source"] for line in done.stdout.splitlines()])
    assert all(len(share) > 10 for share in shares)
    assert sorted(path for share in shares for path in share) == sorted(
        map(str, archive.glob("*/*.jpg"))
    )
    path = str(next(archive.glob("*/001.jpg")))
    one = classify(path, "--shard", "1/3", "--format", "jsonl")  # named by itself
    assert bool(one.stdout) is (path in shares[0])


def test_a_share_has_about_its_part_of_the_paths() -> None:
    counts = [sum(Shard(i, 7).has(f"a/{n}.jpg") for n in range(70_000)) for i in range(1, 8)]
    assert sum(counts) == 70_000
    assert 9_500 < min(counts) <= max(counts) < 10_500


def test_what_is_in_the_file_is_not_classified_again(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    first = classify(archive / "camera 0", "--resume", results)
    assert (first.returncode, first.stdout) == (1, "")
    assert len(sources(results)) == 20
    second = classify("-r", archive, "--resume", results)
    assert second.returncode == 0  # the damaged one was reported before
    assert second.stderr == f"edge-classify: {results}: has 20 results, which are skipped\n"
    assert sorted(sources(results)) == sorted(map(str, archive.glob("*/*.jpg")))
    third = classify("-r", archive, "--resume", results)
    assert third.returncode == 0
    assert len(sources(results)) == 60


def test_every_image_once_though_it_was_killed(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    command = [sys.executable, *COMMAND, "-r", str(archive), "--resume", str(results)]
    for lines in (5, 20, 40):
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not results.exists() or results.read_bytes().count(b"\n") < lines:
            assert time.monotonic() < deadline
            assert process.poll() is None or results.read_bytes().count(b"\n") >= lines
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert classify("-r", archive, "--resume", results).returncode in (0, 1)
    counts = collections.Counter(sources(results))
    assert sorted(counts) == sorted(map(str, archive.glob("*/*.jpg")))
    assert set(counts.values()) == {1}


def test_a_line_that_was_cut_is_removed_and_its_image_classified(
    archive: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    classify(archive / "camera 1", "--resume", results)
    whole = results.read_bytes()
    results.write_bytes(whole[:-100])
    done = classify(archive / "camera 1", "--resume", results)
    said = "has 19 results, which are skipped; its last line was incomplete, and is removed"
    assert done.stderr == f"edge-classify: {results}: {said}\n"
    assert sorted(sources(results)) == sorted(map(str, archive.glob("camera 1/*.jpg")))


def test_a_full_disk_leaves_whole_lines(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))

    where = {"preexec_fn": limit, "env": uncovered()}  # which would have no room either
    done = classify(archive / "camera 1", "--resume", results, **where)
    assert done.returncode == 1
    assert done.stderr == (
        f"edge-classify: --resume {results}: cannot be written (File too large); free some space, "
        "and run the command again\n"
    )
    assert 0 < len(sources(results)) < 20
    assert classify(archive / "camera 1", "--resume", results).returncode == 0
    assert len(sources(results)) == 20


def test_two_at_once_are_rejected(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    with results.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = classify(archive, "--resume", results)
    assert done.returncode == 1
    assert done.stderr == (
        f"edge-classify: --resume {results}: is being written by another process; wait for it, or "
        "use a file for each --shard\n"
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[1]\n", "line 1 is not a result"),
        ('{"source": "a.jpg", "error": "x"}\nsource,label\n', "line 2 is not a result"),
        ('{"summary": {}}\n', "line 1 is not a result"),
        ('{"source": "a", "model": "b.tflite"}\n', "has results of another model (b.tflite)"),
    ],
)
def test_a_file_of_other_things_is_rejected(content: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(content)
    with pytest.raises(SourceError, match=fault.replace("(", r"\(").replace(")", r"\)")):
        EarlierResults(path, "a.tflite")
    assert path.read_text() == content


def test_many_results_are_known_by_path_and_time(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with path.open("w") as file:
        for number in range(100_000):
            file.write(f'{{"source": "a/{number}.jpg", "model": "a.tflite"}}\n')
    with closing(EarlierResults(path, "a.tflite")) as earlier:
        assert len(earlier) == 100_000
        assert earlier.has("a/99999.jpg")
        assert not earlier.has("a/99999.jpg", 1.0)
        assert not earlier.has("a/100000.jpg")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--shard", "0/3"),
            "--shard: must be I/N, with I from 1 to N, such as 1/4. Received: 0/3",
        ),
        (
            ("--shard", "4/3"),
            "--shard: must be I/N, with I from 1 to N, such as 1/4. Received: 4/3",
        ),
        (("--shard", "1"), "--shard: must be I/N, with I from 1 to N, such as 1/4. Received: 1"),
        (("--resume", "r", "--format", "csv"), "--resume writes JSON lines; remove --format csv"),
        (
            ("--resume", "r", "--summary"),
            "--summary cannot be combined with --resume",
        ),
    ],
)
def test_wrong_options_are_one_line(options: tuple[str, ...], said: str) -> None:
    done = classify("a.jpg", *options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_frames_of_a_video_that_was_interrupted(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        for _ in range(20):
            frame = av.VideoFrame(64, 64, "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    results = tmp_path / "results.jsonl"
    classify(clip, "--every", 1, "--resume", results)
    whole = results.read_text().splitlines(keepends=True)
    assert len(whole) == 20
    results.write_text("".join(whole[:7]))
    assert classify(clip, "--every", 1, "--resume", results).returncode == 0
    times = [json.loads(line)["time_s"] for line in results.read_text().splitlines()]
    assert times == [json.loads(line)["time_s"] for line in whole]


def test_parquet_has_the_rows_of_json_lines(archive: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    lines = classify("-r", archive, "--format", "jsonl")
    command = [sys.executable, *COMMAND, "-r", str(archive), "--format", "parquet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 1  # one is damaged
    rows = parquet.read_table(io.BytesIO(done.stdout)).to_pylist()
    expected = [json.loads(line) for line in lines.stdout.splitlines()]
    keys = ("schema", "source", "label", "score", "categories", "model", "runtime", "error")
    assert [[row[key] for key in keys] for row in rows] == [
        [record.get(key) for key in keys] for record in expected
    ]
    assert all(row["captured_at"] for row in rows[1:])


def test_timelapse_and_its_like_read_files_relative_to_the_folder(archive: Path) -> None:
    done = classify("-r", archive, "-k", 2, "-t", 0.5, "--format", "timelapse")
    document = json.loads(done.stdout)
    assert document["info"]["format_version"] == "1.3"
    assert document["info"]["classifier_metadata"] == {"typical_classification_threshold": 0.5}
    labels = document["classification_categories"]
    assert sorted(labels.values()) == ["hotdog", "nothotdog"]
    first, second, *_ = document["images"]
    assert first["file"] == "camera 0/000.jpg"
    assert first["detections"] is None
    assert "is not an image" in first["failure"]
    (detection,) = second["detections"]
    assert detection["category"] in document["detection_categories"]
    assert detection["bbox"] == [0, 0, 1, 1]
    assert labels[detection["classifications"][0][0]] == "hotdog"
    assert [pair[1] for pair in detection["classifications"]] == sorted(
        (pair[1] for pair in detection["classifications"]), reverse=True
    )
    table = classify("-r", archive, "--format", "timelapse-csv").stdout.splitlines()
    assert table[0] == "RelativePath,File,Label,Score"
    assert table[1].startswith("camera 0,003.jpg,hotdog,0.")
    assert len(table) == 60  # the damaged one is named on stderr


def test_a_share_without_an_image_is_a_valid_document(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    shutil.copy(HOTDOG, path)
    other = 2 if Shard(1, 2).has(str(path)) else 1
    done = classify(path, "--shard", f"{other}/2", "--format", "timelapse")
    assert (done.returncode, json.loads(done.stdout)["images"]) == (0, [])
