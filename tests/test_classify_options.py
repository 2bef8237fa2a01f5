"""Each option of edge-classify, with a shipped model and a real image."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TEST_DATA, run, uncovered
from model_copies import SMALL, relabelled
from PIL import Image

CLASSIFY = ("-m", "edge", "classify", "-m")
HOTDOG = ROOT / "tests" / "data" / "hotdog.jpg"
PEERS = TEST_DATA / "peers"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is measured and tried is kept for these tests, and nowhere else."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders called as the labels are, with images of both kinds."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("hotdog/a.jpg", "hotdog/long-name.jpg", "nothotdog/b.jpg", "other/c.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(HOTDOG, folder / name)
    Image.new("RGB", (64, 64), "green").save(folder / "nothotdog" / "green.png")
    return folder


def classify(
    *arguments: object, model: Path = SMALL, **options: object
) -> subprocess.CompletedProcess[str]:
    return run(*CLASSIFY, str(model), *map(str, arguments), **options)


def records(*arguments: object, model: Path = SMALL, **options: object) -> list[dict]:
    done = classify(*arguments, "--format", "jsonl", model=model, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def scores(*arguments: object) -> dict[str, float]:
    (record,) = records("-k", 2, *arguments)
    return {category["label"]: category["score"] for category in record["categories"]}


# Which images.


def test_lists_and_paths_may_be_mixed_and_keep_their_order(tree: Path, tmp_path: Path) -> None:
    lists = [tmp_path / "lines", tmp_path / "nuls"]
    lists[0].write_text(f"{tree}/other\n{tree}/hotdog/a.jpg\n")
    lists[1].write_bytes(f"{tree}/nothotdog/b.jpg\0{tree}/hotdog\0".encode())
    given = ("--files-from", lists[0], f"{tree}/h*/l*.jpg", "--files-from", lists[1], "-")
    with HOTDOG.open("rb") as picture:
        found = records(*given, stdin=picture)
    names = [record["source"].removeprefix(f"{tree}/") for record in found]
    assert names == [
        "hotdog/long-name.jpg",
        "-",
        "other/c.jpg",
        "hotdog/a.jpg",
        "nothotdog/b.jpg",
        "hotdog/a.jpg",
        "hotdog/long-name.jpg",
    ]


def test_a_list_on_stdin_names_files_whatever_is_in_their_names(tmp_path: Path) -> None:
    names = ["two\nlines.jpg", " space .jpg", "-k.jpg", "*.jpg", "钥匙.jpg", "\udcff.jpg", "-"]
    for name in names:
        shutil.copy(HOTDOG, tmp_path / name)
    listing = b"".join(os.fsencode(name) + b"\0" for name in names)
    command = [*CLASSIFY, str(SMALL), "--files-from", "-", "--format", "jsonl"]
    done = run(*command, input=listing, cwd=tmp_path, text=False, env=in_checkout())
    assert (done.returncode, done.stderr) == (0, b"")
    found = [json.loads(line)["source"] for line in done.stdout.splitlines()]
    assert found == names


def in_checkout() -> dict[str, str]:
    """An environment in which the checkout is found from any folder."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_paths_after_two_dashes_are_no_options(tmp_path: Path) -> None:
    shutil.copy(HOTDOG, tmp_path / "-k")
    done = run(*CLASSIFY, str(SMALL), "--", "-k", cwd=tmp_path, env=in_checkout())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-k  hotdog 0.9")


def test_a_list_that_cannot_be_read_is_one_line_and_the_others_are_done(tmp_path: Path) -> None:
    done = classify(HOTDOG, "--files-from", tmp_path / "missing")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"edge-classify: --files-from {tmp_path / 'missing'}: cannot be read (No"
    )


def test_an_empty_list_is_one_line() -> None:
    done = classify("--files-from", "-", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def test_each_bad_file_of_a_folder_is_one_line_in_its_turn(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b-fifo.jpg")
    (tmp_path / "c-empty.jpg").touch()
    (tmp_path / "d-gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "e-folder.jpg").mkdir()
    for name in ("a.jpg", "f.jpg"):
        shutil.copy(HOTDOG, tmp_path / name)
    done = classify(tmp_path, "--format", "jsonl", timeout=60)
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    said = {Path(record["source"]).name: record.get("error", "") for record in found}
    assert list(said) == ["a.jpg", "b-fifo.jpg", "c-empty.jpg", "d-gone.jpg", "f.jpg"]
    assert "is not a regular file" in said["b-fifo.jpg"]
    assert "is empty" in said["c-empty.jpg"]
    assert "no such file" in said["d-gone.jpg"]
    assert len(done.stderr.splitlines()) == 3


def test_what_nobody_may_read_is_one_line_and_the_others_are_done() -> None:
    # Root may read all, and is no more root then: not where only root may look, either.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for name in ("closed/a.jpg", "open/b.jpg", "open/c.jpg"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(HOTDOG, folder / name)
        (folder / "open" / "b.jpg").chmod(0)
        (folder / "closed").chmod(0)
        # By the first call all is imported: Python itself may lie where only root looks.
        code = "import os, sys; from edge.commands.classify import main; main(sys.argv[1:3]); "
        code += "os.geteuid() or os.seteuid(65534); sys.exit(main(sys.argv[3:]))"
        paths = (str(HOTDOG), str(HOTDOG), "-r", str(folder))
        done = run("-c", code, *paths, timeout=60, env=uncovered())
        (folder / "closed").chmod(0o700)
    assert done.returncode == 1, done.stderr
    sources = [line.split()[0] for line in done.stdout.splitlines()]
    assert sources == [str(HOTDOG), str(HOTDOG), f"{folder}/open/c.jpg"]
    closed, unreadable = done.stderr.splitlines()
    fault = f"{folder}/closed: cannot be read (Permission denied)"
    assert closed == f"edge-classify: {fault}; change its permissions"
    assert unreadable.startswith(f"edge-classify: {folder}/open/b.jpg: permission denied")


# The model.


def test_labels_of_a_file_beat_those_inside(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("yes\nno\n")
    inside, given = scores(HOTDOG), scores(HOTDOG, "--labels", labels)
    assert given == {"yes": inside["hotdog"], "no": inside["nothotdog"]}


def test_verbose_says_what_is_made_of_the_model() -> None:
    done = classify("-v", "--resize", "pad", "--threads", 1, HOTDOG)
    assert "224 x 224 uint8, pixels as they are, pad, antialias; 2 labels\n" in done.stderr


@pytest.mark.skipif(not PEERS.is_dir(), reason=f"no models of others: {PEERS} is absent")
def test_a_float_model_that_says_nothing_takes_normalization_and_labels_by_option() -> None:
    folder = PEERS / "tflite-support"
    model = folder / "mobilenet_v1_0.25_224_1_default_1.tflite"
    given = (folder / "burger.jpg", "--labels", PEERS / "coral" / "imagenet_labels.txt")
    (by_range,) = records(*given, "--normalize", "[-1,1]", model=model)
    (by_mean,) = records(*given, "--normalize", "127.5,127.5", model=model)
    (other,) = records(*given, "--normalize", "[0,255]", model=model)
    assert by_range["label"] == "cheeseburger"
    assert by_range["categories"] == by_mean["categories"] != other["categories"]
    refused = classify(*given, model=model)
    assert refused.returncode in (1, 2)
    assert len(refused.stderr.splitlines()) == 1


# What the model sees.


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An image under noise, and what options should make of it, each as a lossless file.

    The noise makes the model see something else in each.
    """
    folder = tmp_path_factory.mktemp("parts")
    clear = Image.open(HOTDOG).convert("RGB")
    noise = np.random.default_rng(0).integers(0, 256, (clear.height, clear.width, 3), np.uint8)
    whole = Image.blend(clear, Image.fromarray(noise), 0.7)
    width, height = whole.size
    side, left = min(whole.size), (width - height) // 2
    padded = Image.new("RGB", (width, width))
    padded.paste(whole, (0, (width - height) // 2))
    made = {
        "whole": whole,
        "crop": whole.crop((left, 0, left + side, side)),
        "pad": padded,
        "nearest": whole.resize((224, 224), Image.Resampling.NEAREST),
        "part": whole.crop((160, 120, 480, 360)),
        "turned": whole.transpose(Image.Transpose.ROTATE_270),
    }
    for name, image in made.items():
        image.save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in made}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "whole"),
        (("--resize", "squash", "--filter", "antialias", "--rotate", "0"), "whole"),
        (("--resize", "crop"), "crop"),
        (("--resize", "pad"), "pad"),
        (("--filter", "nearest"), "nearest"),
        (("--roi", "0.25,0.25,0.5,0.5"), "part"),
        (("--roi", "160,120,320,240"), "part"),
        (("--rotate", "90"), "turned"),
    ],
)
def test_the_model_sees_what_the_options_say(
    parts: dict[str, Path], options: tuple[str, ...], expected: str
) -> None:
    seen, whole = scores(*options, parts["whole"]), scores(parts["whole"])
    assert seen == pytest.approx(scores(parts[expected]), abs=0.02)
    if expected != "whole":
        assert seen != pytest.approx(whole, abs=0.04)


def test_bilinear_is_another_filter(parts: dict[str, Path]) -> None:
    bilinear, antialias, nearest = (
        scores("--filter", name, parts["whole"]) for name in ("bilinear", "antialias", "nearest")
    )
    assert bilinear != pytest.approx(antialias, abs=0.04)
    assert bilinear != pytest.approx(nearest, abs=0.001)


def test_a_region_beyond_a_picture_is_one_line_and_the_others_are_done(
    parts: dict[str, Path],
) -> None:
    done = classify("--roi", "160,120,320,240", parts["nearest"], parts["whole"])
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert "is 224 x 224 pixels, smaller than --roi requires" in done.stderr


# The answers.


def test_text_is_aligned(tree: Path) -> None:
    done = classify("-k", 2, "-r", tree)
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert len({line.index(" 0.") for line in lines}) == 1
    assert len({line.index(", ") for line in lines}) == 1


def test_allow_and_deny_leave_the_scores_of_the_others(tree: Path) -> None:
    both = scores(HOTDOG)
    for option in (("--allow", "nothotdog"), ("--deny", "hotdog"), ("--deny", "hotdog,hotdog")):
        (record,) = records(*option, "-k", 5, HOTDOG)
        assert record["label"] == "unknown"  # below the model's own threshold
        assert [c["label"] for c in record["categories"]] == ["nothotdog"]
        assert record["score"] == both["nothotdog"]
    (record,) = records("--allow", "nothotdog", "--allow", "hotdog", "-k", 5, HOTDOG)
    assert [c["label"] for c in record["categories"]] == ["hotdog", "nothotdog"]
    (record,) = records("--allow", "nothotdog", "-t", 0, HOTDOG)
    assert record["label"] == "nothotdog"


@pytest.mark.skipif(not PEERS.is_dir(), reason=f"no models of others: {PEERS} is absent")
def test_a_label_that_holds_commas_can_be_allowed() -> None:
    folder = PEERS / "coral"
    model = folder / "mobilenet_v1_0.5_160_quant.tflite"
    given = (folder / "cat.bmp", "--labels", folder / "imagenet_labels.txt")
    (record,) = records(*given, "--allow", "tiger, Panthera tigris", model=model)
    assert record["label"] == "tiger, Panthera tigris"
    done = classify(*given, "--allow", "tiger, Panthera", model=model)
    assert done.returncode == 2
    assert "did you mean" in done.stderr


def test_the_summary_counts_and_judges_by_the_folders_names(tree: Path) -> None:
    done = classify("--summary", "-t", 0, "-r", tree)
    assert (done.returncode, done.stderr) == (0, "")
    answers, _, summary = done.stdout.partition("\n\n")
    assert len(answers.splitlines()) == 5
    lines = summary.splitlines()
    assert lines[0].startswith("5 classified in ")
    assert lines[1:3] == ["  hotdog     4", "  nothotdog  1"]
    assert lines[3] == (
        "accuracy 0.750 (95 % interval 0.301 to 0.954): 3 of 4 match the name of their folder"
    )
    assert lines[4:] == [
        "  folder \\ top label  hotdog  nothotdog",
        "  hotdog                   2          0",
        "  nothotdog                1          1",
    ]


def test_the_summary_is_the_last_record_of_json(tree: Path) -> None:
    *_, last = records("--summary", "-t", 1, "-r", tree)
    summary = last["summary"]
    assert (summary["classified"], summary["failed"], summary["unknown"]) == (5, 0, 5)
    assert summary["labels"] == {}
    assert summary["accuracy"]["correct"] == 3  # of the top category, before the threshold
    assert {"folder": "nothotdog", "label": "hotdog", "count": 1} in summary["confusion"]
    whole = classify("--summary", "--format", "json", tree / "other")
    assert "accuracy" not in json.loads(whole.stdout)[-1]["summary"]


def test_the_summary_of_csv_is_on_stderr(tree: Path) -> None:
    done = classify("--summary", "--format", "csv", "-r", tree)
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 5
    assert "\naccuracy 0.750 " in done.stderr


def test_jobs_change_no_answer(tree: Path) -> None:
    given = [tree / "nothotdog", tree / "hotdog"] * 6
    one, four, auto = (records("--jobs", jobs, *given) for jobs in (1, 4, "auto"))
    for record in (*one, *four, *auto):
        del record["preprocess_ms"], record["invoke_ms"], record["captured_at"]
    assert one == four == auto
    assert len(one) == 24


def test_nothing_is_imported_that_is_not_used(tmp_path: Path) -> None:
    code = "import sys; from edge.commands.classify import main; main(sys.argv[1:]); "
    code += "print(*sys.modules)"
    # Nothing was measured on this machine.
    env = uncovered(XDG_CONFIG_HOME=str(tmp_path), CONFIGURATION_DIRECTORY=str(tmp_path))
    done = run("-c", code, str(HOTDOG), env=env)
    assert done.returncode == 0, done.stderr
    unused = {
        "concurrent.futures",
        "csv",
        "difflib",
        "glob",
        "numpy.typing",
        "tempfile",
        "edge.sources.ahead",
        "edge.commands.choice",
        "edge.commands.results.summary",
        "edge.classifier.tuned",
        "edge.classifier.trial",
        "statistics",
        "unicodedata",
    }
    assert not unused & set(done.stdout.split())


def test_help_needs_no_numpy_and_says_all_of_it() -> None:
    code = "import sys; from edge.commands.classify import main\ntry: main(['--help'])\n"
    done = run("-c", f"{code}finally: print(*sys.modules)", env=uncovered(COLUMNS="80"))
    text, _, modules = done.stdout.rpartition("exit status:")
    assert {"numpy", "PIL"}.isdisjoint(modules.split())
    assert max(map(len, text.splitlines())) <= 80
    options = "-r -k -t -m -v --files-from --labels --normalize --resize --filter --roi --rotate "
    options += "--allow --deny --format --summary --jobs --threads --runtime --version"
    for option in options.split():
        assert f" {option}" in text, option


# Labels that lie.


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with labels that a terminal or a spreadsheet would act upon."""
    path = tmp_path_factory.mktemp("liar") / "liar.tflite"
    path.write_bytes(relabelled(["\x1b]0;x\x07\x1b[31mred\n", "=1+1"]))
    return path


def test_labels_cannot_reach_the_terminal(liar: Path) -> None:
    done = classify("-k", 2, "--summary", HOTDOG, model=liar)
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert r"\x1b]0;x\x07\x1b[31mred\n 0.9" in done.stdout


def test_labels_and_names_are_no_formulas(liar: Path, tmp_path: Path) -> None:
    for name in ("=cmd.jpg", "@x\ny.jpg"):
        shutil.copy(HOTDOG, tmp_path / name)
    command = (*CLASSIFY, str(liar), "-k", "2", "--format", "csv", "=cmd.jpg", "@x\ny.jpg")
    done = run(*command, cwd=tmp_path, env=in_checkout())
    assert len(done.stdout.splitlines()) == 3
    first, second = csv.DictReader(io.StringIO(done.stdout))
    assert first["source"] == "'=cmd.jpg"
    assert second["source"] == r"'@x\ny.jpg"
    assert (first["label_2"], first["label"]) == ("'=1+1", r"\x1b]0;x\x07\x1b[31mred\n")
