"""Video files: times, sizes, rotation, colours, and those that cannot be read."""

from __future__ import annotations

import csv
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from hostile_videos import matroska
from pictures import encoded
from PIL import Image
from videos import COLOURS, CORNER, colour_at, write_video

from edge.errors import EdgeError, SourceError
from edge.image.preprocess import Size
from edge.sources.frame import Frame
from edge.sources.video.clip import Clip, ClipSource, Sampling

MODEL = ROOT / "models" / "hotdog-small.tflite"


def frames_of(path: Path, at_least: Size | None = None, **sampling: Any) -> list[Frame]:
    return list(Clip(path, Sampling(**sampling), lambda _: at_least))


def times(frames: list[Frame]) -> list[float]:
    return [round(frame.position_s or 0.0, 3) for frame in frames]


def is_near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.asarray(pixel, int) - colour).max() <= 12)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(
        tmp_path_factory.mktemp("clips") / "clip.mp4", created="2026-05-01T12:00:00Z"
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.mov", {}),
        ("a.ts", {}),
        ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("a.webm", {"codec": "libvpx"}),
        ("ten.mp4", {"pix_fmt": "yuv420p10le"}),
        ("444.mp4", {"pix_fmt": "yuv444p", "size": (121, 163)}),
        ("b-frames.mp4", {"options": {"bf": "3"}}),
    ],
)
def test_formats(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = write_video(tmp_path / name, **options)
    frames = frames_of(path, fps=0.0, every=10)
    assert times(frames) == [0.0, 1.0, 2.0]
    for frame in frames:
        assert isinstance(frame.picture, np.ndarray)
        assert frame.picture.shape == (*options.get("size", (120, 160)), 3)
        assert is_near(frame.picture[-20, -20], colour_at(frame.position_s or 0.0))
        assert is_near(frame.picture[10, 10], CORNER)


@pytest.mark.parametrize(("space", "name"), [(1, "bt709"), (9, "bt2020nc")])
def test_colours_are_those_that_the_container_names(tmp_path: Path, space: int, name: str) -> None:
    """A phone's HDR video is BT.2020, of 10 bits: read as BT.601 a red is wrong by 11."""
    path = tmp_path / "hdr.mp4"
    coded = {"pix_fmt": "yuv420p10le", "options": {"x264-params": f"colormatrix={name}"}}
    (frame, *_) = frames_of(write_video(path, space=space, rotation=90, **coded))  # type: ignore[arg-type]
    assert isinstance(frame.picture, np.ndarray)
    middle = frame.picture.shape[0] // 2, frame.picture.shape[1] // 2
    assert np.abs(np.asarray(frame.picture[middle], int) - COLOURS[0]).max() <= 3


def test_sampling(clip: Path) -> None:
    assert len(frames_of(clip, fps=0.0)) == 30
    assert times(frames_of(clip, fps=2.0)) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert times(frames_of(clip, fps=5.0, start_s=2.0)) == [2.0, 2.2, 2.4, 2.6, 2.8]
    assert [round(at) for at in times(frames_of(clip))] == [0, 1, 2]


def test_samples_far_apart_are_reached_by_seeking(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", seconds=60, fps=2, options={"g": "8"})
    assert [round(at) for at in times(frames_of(path, fps=0.05))] == [0, 20, 40]


def test_a_long_clip_is_reached_at_once(tmp_path: Path) -> None:
    """Four hours: all of it takes many seconds to decode."""
    import av

    path, seconds = write_video(tmp_path / "one.mp4", seconds=10, size=(240, 320)), 4 * 3600
    with av.open(str(path)) as old, av.open(str(tmp_path / "long.mp4"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.dts is not None]
        step = round(10 / packets[0].time_base)
        for _ in range(seconds // 10):
            for packet in packets:
                packet.stream = stream
                new.mux(packet)
                packet.pts, packet.dts = packet.pts + step, packet.dts + step
    long = tmp_path / "long.mp4"

    def seconds_to_first(at_s: float) -> float:
        began = time.perf_counter()
        frame = next(iter(Clip(long, Sampling(start_s=at_s))))
        assert at_s <= (frame.position_s or 0.0) < at_s + 1
        return time.perf_counter() - began

    assert seconds_to_first(seconds - 12.0) < seconds_to_first(0.0) + 2.0
    assert len(frames_of(long, fps=1 / 600)) == seconds // 600


def test_a_varying_rate_keeps_its_times(tmp_path: Path) -> None:
    at_s = [0.0, 0.1, 0.7, 0.75, 2.0, 2.9]
    path = write_video(tmp_path / "vfr.mp4", times_s=at_s)
    assert times(frames_of(path, fps=0.0)) == at_s


def test_it_was_captured_when_the_container_says(clip: Path) -> None:
    stamps = [frame.captured_at.isoformat() for frame in frames_of(clip, fps=1.0, start_s=1.0)]
    assert stamps[0].startswith("2026-05-01T12:00:01")


def test_frames_are_as_small_as_suffices(clip: Path) -> None:
    (frame, *_) = frames_of(clip, at_least=(60, 60))
    assert np.shape(frame.picture) == (60, 80, 3)
    (frame, *_) = frames_of(clip, at_least=(600, 600))
    assert np.shape(frame.picture) == (120, 160, 3)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_video_is_upright(tmp_path: Path, rotation: int) -> None:
    path = write_video(tmp_path / "turned.mp4", rotation=rotation)
    (frame, *_) = frames_of(path)
    assert isinstance(frame.picture, np.ndarray)
    # PyAV, as ffmpeg, counts counter-clockwise, and so does numpy.
    stored = np.zeros((120, 160), bool)
    stored[:20, :30] = True
    upright = np.rot90(stored, rotation // 90)
    assert frame.picture.shape == (*upright.shape, 3)
    assert is_near(np.median(frame.picture[upright], axis=0), CORNER)
    assert is_near(np.median(frame.picture[~upright], axis=0), COLOURS[0])


def test_a_clip_is_a_source_that_repeats(clip: Path) -> None:
    source = ClipSource(clip, Sampling(), repeat=True)
    seen = [item for item, _ in zip(source, range(5), strict=False)]
    source.close()
    assert [round(item.position_s or 0.0) for item in seen if isinstance(item, Frame)] == [
        0,
        1,
        2,
        0,
        1,
    ]


def fault_of(path: Path, **sampling: Any) -> tuple[int, str]:
    """How many frames came, and the error after them."""
    number = 0
    with pytest.raises(EdgeError) as caught:
        for _ in Clip(path, Sampling(**sampling)):
            number += 1
    assert "\n" not in str(caught.value)
    return number, str(caught.value)


def test_what_is_no_video_is_one_line(tmp_path: Path, clip: Path) -> None:
    whole = clip.read_bytes()
    for name, content, words in (
        ("empty.mp4", b"", "0 bytes"),
        ("noise.mp4", os.urandom(5000), "is not a readable video"),
        ("half.mp4", whole[: len(whole) // 2], "cut off"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "is not a readable video"),
    ):
        (tmp_path / name).write_bytes(content)
        assert words in fault_of(tmp_path / name)[1], name
    write_video(tmp_path / "sound.mp4", sound_only=True)
    assert "only sound" in fault_of(tmp_path / "sound.mp4")[1]
    assert "no such file" in fault_of(tmp_path / "none.mp4")[1]
    assert "no frame after 60 s" in fault_of(clip, start_s=60.0)[1]


def test_a_hostile_size_takes_no_memory(tmp_path: Path) -> None:
    path = write_video(tmp_path / "m.avi", codec="mjpeg", pix_fmt="yuvj420p")
    head, size = bytes([0xFF, 0xC0, 0, 17, 8]), struct.pack(">HH", 120, 160)
    content = path.read_bytes()
    assert content.count(head + size) == 30
    huge = tmp_path / "huge.avi"
    huge.write_bytes(content.replace(head + size, head + struct.pack(">HH", 20_000, 20_000)))
    assert "no frame that can be decoded" in fault_of(huge)[1]


def test_streams_without_number_and_a_frame_that_inflates_are_bounded(tmp_path: Path) -> None:
    path, jpeg = tmp_path / "odd.mkv", encoded(np.zeros((48, 64, 3), np.uint8), "JPEG")
    for options in ({}, {"deflated": True}, {"streams": 10_000}):
        path.write_bytes(matroska(jpeg, **options))  # type: ignore[arg-type]
        assert [np.shape(frame.picture) for frame in frames_of(path)] == [(48, 64, 3)]
    path.write_bytes(matroska(jpeg + bytes(200_000_000), deflated=True))
    assert "no frame that can be decoded" in fault_of(path)[1]


def test_a_name_is_never_a_protocol_or_a_pattern(tmp_path: Path, clip: Path) -> None:
    odd = tmp_path / "a:b %03d.mp4"
    odd.write_bytes(clip.read_bytes())
    assert len(frames_of(odd)) == 3


def test_a_video_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    options = {"movflags": "faststart"}
    import av

    path = tmp_path / "whole.mkv"
    write_video(path, seconds=20, size=(240, 320))
    with av.open(str(path)) as old, av.open(str(tmp_path / "f.mp4"), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    whole = (tmp_path / "f.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    number, said = fault_of(tmp_path / "cut.mp4")
    assert number >= 5
    assert "cut off" in said or "damaged" in said


def test_a_decoder_that_is_killed_is_one_line(clip: Path) -> None:
    from edge.sources.video.process import Decoder

    decoder = Decoder("clip", {"open": str(clip)})
    os.kill(decoder.pid, 9)
    with pytest.raises(SourceError, match="signal 9"):
        decoder.reply(10.0)
    decoder.close()


def test_a_decoder_ends_with_whoever_started_it(clip: Path) -> None:
    code = f"""
import os
from pathlib import Path
from edge.sources.video.clip import Clip, Sampling
frames = iter(Clip(Path({str(clip)!r}), Sampling(fps=0.0)))
next(frames)
print(open(f"/proc/self/task/{{os.getpid()}}/children").read(), flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    (child,) = done.stdout.split()
    for _ in range(200):
        if not Path(f"/proc/{child}").exists() or _is_zombie(child):
            return
        subprocess.run(["sleep", "0.05"], check=True)
    raise AssertionError("the decoder is still there")


def _is_zombie(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def classify(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "classify", "-m", str(MODEL), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_a_card_full_of_clips_and_photos(tmp_path: Path, clip: Path) -> None:
    card = tmp_path / "DCIM"
    card.mkdir()
    (card / "b.mp4").write_bytes(clip.read_bytes())
    (card / "c.mp4").write_bytes(b"")
    Image.new("RGB", (64, 64), "red").save(card / "a.jpg")
    timeline, saved = tmp_path / "t.csv", tmp_path / "saved"
    done = classify(
        "--format=csv", "--timeline", timeline, "--save-frames", saved, "-r", card, status=1
    )
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [(Path(row["source"]).name, row["time_s"][:1]) for row in rows] == [
        ("a.jpg", ""),
        ("b.mp4", "0"),
        ("b.mp4", "1"),
        ("b.mp4", "2"),
        ("c.mp4", ""),
    ]
    assert rows[-1]["error"].startswith("is empty")
    spans = list(csv.DictReader(timeline.read_text().splitlines()))
    assert sum(int(span["frames"]) for span in spans) == 3
    assert spans[0]["from_s"] == "0.0"
    images = sorted(saved.iterdir())
    assert len(images) == 3
    with Image.open(images[0]) as image:
        assert image.size == (160, 120)


def test_the_summary_has_a_timeline(clip: Path) -> None:
    done = classify("--format=json", "--summary", "--every=10", clip)
    summary = json.loads(done.stdout)[-1]["summary"]
    assert summary["timeline"][0]["from_s"] == 0.0
    assert sum(span["frames"] for span in summary["timeline"]) == 3
    text = classify("--summary", "--start=0:01", clip).stdout
    assert "timeline:" in text
    assert f"{clip} 0:01.00" in text


def test_photos_load_nothing_of_videos(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.jpg")
    code = (
        "import sys; from edge.commands.classify import main; "
        f"main(['-m', {str(MODEL)!r}, {str(tmp_path / 'a.jpg')!r}]); "
        "print(sorted(n for n in sys.modules if n == 'av' or n.startswith('edge.sources.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert loaded == "['edge.sources.address', 'edge.sources.frame', 'edge.sources.photos']"
