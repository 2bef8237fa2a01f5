"""The benchmarks run on tiny data, and count what they say they count."""

from __future__ import annotations

import importlib.util
import io
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT, run
from PIL import Image

from edge.classifier import golden
from edge.image import framing
from edge.image.preprocess import read_image, resized

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the processor and memory are read from /proc"
)


def load(name: str) -> ModuleType:
    """A benchmark, which is a program and no part of a package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def memory() -> ModuleType:
    """benchmarks/memory.py."""
    return load("memory")


def test_an_epoch_of_every_way_is_timed_in_one_run(drawn: Path) -> None:
    pytest.importorskip("scipy", reason="ImageDataGenerator needs scipy")
    options = ["--photos", "24", "--batch-size", "8", "--size", "96", "--rounds", "1"]
    done = run("benchmarks/epoch.py", str(drawn), *options)
    assert done.returncode == 0, done.stderr
    rows = re.findall(
        r"^\| ([a-z' ]+) \| (\w+) \| [\d.]+ \| [\d.]+ \| ([\d.]+) \| ([\d.]+) \|$",
        done.stdout,
        re.MULTILINE,
    )
    assert [row[:2] for row in rows] == [
        ("the tutorial's own", "float32"),
        ("ours", "float32"),
        ("ours", "bfloat16"),
        ("computing alone", "float32"),
        ("computing alone", "bfloat16"),
    ]
    assert rows[0][2] == "1.00"
    assert [row[3] for row in rows[3:]] == ["1.00", "1.00"]
    assert "AMX" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("python benchmarks/epoch.py ")


def test_too_few_photos_are_one_line(drawn: Path, tmp_path: Path) -> None:
    pytest.importorskip("scipy", reason="ImageDataGenerator needs scipy")
    for folder, fault in ((drawn, "has 90 photos of 3 classes"), (tmp_path, "has 0 photos")):
        done = run("benchmarks/epoch.py", str(folder), "--photos", "3000")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"epoch: {folder}: {fault}")
        assert done.stderr.count("\n") == 1


def test_a_comment_makes_files_differ_and_no_pixel(
    memory: ModuleType, drawn: Path, tmp_path: Path
) -> None:
    sources = {label: sorted((drawn / label).iterdir())[:2] for label in ("cup", "key")}
    memory.make_files(tmp_path, sources, 12)
    made = sorted(tmp_path.glob("*/*.jpg"))
    assert [path.parent.name for path in made] == ["cup"] * 6 + ["key"] * 6
    assert len({path.read_bytes() for path in made}) == 12
    with Image.open(made[0]) as first, Image.open(sources["cup"][0]) as source:
        assert first.tobytes() == source.tobytes()


def test_the_peak_is_seen_of_the_process_and_of_what_it_starts(memory: ModuleType) -> None:
    hold = "import time; held = bytearray(b'x') * {megabytes} * 2**20; time.sleep(1.5); {then}"
    child = hold.format(megabytes=80, then="")
    parent = f"import subprocess, sys; {hold.format(megabytes=40, then='')}"
    parent += f"subprocess.run([sys.executable, '-c', {child!r}])"
    peak = memory.peak([sys.executable, "-c", parent])
    assert 40 < peak.convert / 2**20 < 80
    assert 120 < peak.together / 2**20 < 180


def test_a_run_that_fails_is_one_line(memory: ModuleType) -> None:
    with pytest.raises(memory.ConversionError, match="ended with status 3"):
        memory.peak([sys.executable, "-c", "raise SystemExit(3)"])


def test_memory_of_a_whole_run_is_measured() -> None:
    options = (
        "--network small --precision float32 --epochs 1 --steps-per-epoch 2 --quantize float32"
    )
    done = run("benchmarks/memory.py", "--files", "150", "--image-size", "32", "--options", options)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["150"]
    assert 100 < int(rows[0][1]) <= int(rows[0][2]) < 4000
    assert "| last of first | 1.000 | 1.000 |" in done.stdout


def test_growth_and_shards_are_measured(drawn: Path) -> None:
    options = "--quick --only photos,shards --counts 30,60".split()
    done = run("benchmarks/scale.py", str(drawn), *options)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\d+) \| \d+ \| \d+ \| [\d.]+ \| (\d+) \|$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["30", "60"]
    assert all(10 < int(row[1]) < 1000 for row in rows)
    assert "extrapolated to 1000000: " in done.stdout
    ways = re.findall(r"^\| ((?:one|two) process[\w ,-]+) \| [\d.]+ \(", done.stdout, re.MULTILINE)
    assert len(ways) == 5
    assert done.stdout.splitlines()[-1].endswith(" ".join(options))


def test_made_photos_differ_and_some_are_cropped(
    monkeypatch: pytest.MonkeyPatch, drawn: Path, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    scale = load("scale")
    sources = scale._sources([drawn])[:3]
    scale._make(sources, 0, 12, tmp_path)
    made = sorted(tmp_path.glob("*/*.jpg"), key=lambda path: path.name)
    assert len({path.read_bytes() for path in made}) == 12
    sizes = [read_image(path).shape for path in made]
    assert sizes[:9] == sizes[:3] * 3
    assert all(new < old for new, old in zip(sizes[9:], sizes[:3], strict=True))


def test_what_the_service_costs_is_measured() -> None:
    done = run("benchmarks/watch.py", "--frames", "5", "--seconds", "1", "--starts", "1")
    assert done.returncode == 0, done.stderr
    parts = re.findall(r"^\| ([a-z. ]+) \|((?: [\d.]+ \|){4})$", done.stdout, re.MULTILINE)
    assert [part for part, _ in parts] == [
        "rank and steady",
        "preprocess",
        "invoke",
        "stdout",
        "latest.json",
        "snapshots",
        "status and notify",
        "pace and reload",
    ]
    assert all(float(figure) > 0 for _, row in parts for figure in re.findall(r"[\d.]+", row))
    outside = re.findall(
        r"^\| outside invoke, (\d+ x \d+) \| ([\d.]+) ms", done.stdout, re.MULTILINE
    )
    assert [size for size, _ in outside] == ["224 x 224", "640 x 480"]
    assert float(outside[0][1]) < float(outside[1][1])
    share, rss, anonymous = re.search(
        r"(\d+\.\d\d) % of a core.*?(\d+) MB, (\d+) MB of it", done.stdout, re.DOTALL
    ).groups()
    assert float(share) < 100
    assert 10 < int(anonymous) < int(rss) < 400
    assert "the base: python -c 'import numpy, PIL.Image, " in done.stdout
    assert (
        done.stdout.splitlines()[-1]
        == "python benchmarks/watch.py --frames 5 --seconds 1 --starts 1"
    )


def test_how_fast_pictures_are_classified_is_measured() -> None:
    options = "--runs 1 --changes 2 --starts 1 --folder-photos 4 --memory-photos 10".split()
    done = run("benchmarks/classify.py", *options)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| ([\w .-]+) \|((?: -?[\d.]+ \|){5})$", done.stdout, re.MULTILINE)
    assert [what for what, _ in rows] == ["12 megapixels", "2 megapixels", "640 x 480"]
    for _, row in rows:
        ours, outside, limit, usual, ratio = map(float, re.findall(r"[\d.]+", row))
        assert outside < ours
        assert limit > 0
        assert ratio == pytest.approx(usual / ours, abs=0.02)
    assert re.search(
        r"by the DCT scale, [^|]+ \| \d of 2, score by 0\.\d{4} \(at most", done.stdout
    )
    assert re.search(r"size, outside invoke \| \d\.\d{3} ms \| 0\.3 \| 0\.05 \|", done.stdout)
    start = r"^\| edge-classify photo.jpg; the script of ten lines \| \d+ \| \d+ \| \d+\.\d\d \|"
    assert re.search(start, done.stdout, re.MULTILINE)
    assert re.search(r"\| 4 photos decoded ahead on two cores \| \d\.\d\d times", done.stdout)
    memory = r"\| memory over 10 photos \| \d+\.\d MB more than .*\((\d+\.\d,? ?){5}\)"
    assert re.search(memory, done.stdout)
    assert done.stdout.splitlines()[-1] == f"python benchmarks/classify.py {' '.join(options)}"


def test_photos_are_drawn_where_there_are_no_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_TEST_DATA", "/nowhere")
    mosaics = load("mosaics")
    photo = mosaics.photo((320, 240), 1)
    assert photo == mosaics.photo((320, 240), 1) != mosaics.photo((320, 240), 2)
    with Image.open(io.BytesIO(photo)) as image:
        assert image.size == (320, 240)
    assert 10_000 < len(photo) < 40_000  # 1 to 4 bits a pixel: neither flat nor white noise


def test_the_instrument_is_held_against_others() -> None:
    pytest.importorskip("ai_edge_litert.tools.benchmark_litert_model")
    done = run(
        *("benchmarks/instrument.py", "--model", "models/hotdog-scratch.tflite"),
        *("--pairs", "1", "--benchmarks", "2", "--num-runs", "10"),
    )
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \| (yes|NO) \|$", done.stdout, re.MULTILINE)
    assert len(rows) == 9, done.stdout
    assert done.stderr == ""
    verdicts = {what: verdict for what, _, _, verdict in rows}
    assert done.returncode == ("NO" in verdicts.values())  # as on a machine that is not quiet
    assert verdicts["the loop, of a run of 1 ms"] == "yes"
    assert verdicts["a busy process a core, named by the look at the machine"] == "yes"


def test_a_start_is_held_against_a_script_and_a_bare_python() -> None:
    done = run("benchmarks/start.py", "--starts", "1")
    assert done.returncode == 0, done.stderr
    rows = re.findall(
        r"^\| (edge-classify \S+); .*? \| (\d+) \| (\d+) \|", done.stdout, re.MULTILINE
    )
    assert [name for name, *_ in rows] == ["edge-classify photo.jpg", "edge-classify --help"]
    assert all(int(took) > 0 for _, *times in rows for took in times)


def test_statements_are_counted_without_docstrings() -> None:
    source = '''"""A module."""\nimport os\n\n\ndef f():\n    """It."""\n    return os, (1)\n'''
    assert load("statements").statements(source) == 3


def test_what_shrinking_costs_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    reduction = load("reduction")
    picture = golden.draw(0, (480, 640))
    seen = {rule: reduction._by(rule, lambda: resized(picture, (224, 224))) for rule in (2.0, 1.0)}
    full = reduction._by(reduction.FULL, lambda: resized(picture, (224, 224)))
    assert np.array_equal(seen[2.0], full)
    assert not np.array_equal(seen[1.0], full)
    assert np.array_equal(resized(picture, (224, 224)), seen[framing.OVERSAMPLING])
    monkeypatch.setattr(reduction, "TEST_DATA", Path("/nowhere"))
    assert reduction.main([]) == 1
