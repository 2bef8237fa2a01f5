"""edge-classify as a person or a script meets it: output, exit status, stderr."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, run

CLASSIFY = ("-m", "edge", "classify")
KEYS = (
    "schema source label score categories preprocess_ms invoke_ms model runtime captured_at".split()
)

WRONG_REGIONS = "1 0,0,1 0,0,1,x 0,0,0,1 -1,0,1,1 0.5,0,0.6,1 0,nan,1,1 0.5,0,10,10".split()
WRONG_NORMALIZATIONS = (
    "[1,1] 1,2,3/4,5 [0,1 1 0,1,2 0,0 0,-1 0.5,0.5 nan,1 [0,inf] mean,std".split()
)


@pytest.fixture
def pictures(photo_folder: Path, tmp_path: Path) -> Path:
    """Three good images and a bad one between them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, path in zip(("a", "c", "d"), sorted(photo_folder.glob("*.jpg")), strict=False):
        shutil.copy(path, folder / f"{name}.jpg")
    (folder / "b.jpg").write_bytes(b"not an image")
    return folder


def classify(model: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess:
    return run(*CLASSIFY, "-m", str(model), *map(str, arguments), **options)


def test_text_is_one_line_a_picture_and_stderr_stays_empty(
    model_path: Path, photo_folder: Path
) -> None:
    done = classify(model_path, "-t", 0, photo_folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    for line, path in zip(lines, sorted(photo_folder.glob("*.jpg")), strict=True):
        source, label, score = line.split()
        assert source == str(path)
        assert label in ("cup", "fish", "key")
        assert 0 <= float(score) <= 1


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_parses_and_has_the_bad_one_too(model_path: Path, pictures: Path, form: str) -> None:
    done = classify(model_path, "-k", 2, "--format", form, pictures)
    records = (
        json.loads(done.stdout)
        if form == "json"
        else [json.loads(line) for line in done.stdout.splitlines()]
    )
    assert [Path(record["source"]).name for record in records] == [f"{n}.jpg" for n in "abcd"]
    failure = records.pop(1)
    assert list(failure) == ["schema", "source", "error"]
    for record in records:
        assert list(record) == KEYS
        assert [list(c) for c in record["categories"]] == [["index", "label", "score"]] * 2
        first, second = (category["score"] for category in record["categories"])
        assert record["score"] == first >= second


def test_csv_parses(model_path: Path, pictures: Path) -> None:
    done = classify(model_path, "-k", 3, "-t", 0, "--format", "csv", pictures)
    records = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [Path(record["source"]).name for record in records] == [f"{n}.jpg" for n in "abcd"]
    assert records[0]["error"] == ""
    assert "known format" in records[1]["error"]
    labels = {records[0][column] for column in ("label", "label_2", "label_3")}
    assert labels == {"cup", "fish", "key"}


def test_a_bad_file_is_one_line_and_the_others_are_done(model_path: Path, pictures: Path) -> None:
    done = classify(model_path, pictures)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edge-classify: {pictures / 'b.jpg'}: ")


def test_an_empty_folder_is_one_line_and_the_others_are_done(
    model_path: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = classify(model_path, tmp_path / "empty", pictures / "a.jpg", "--format", "json")
    assert done.returncode == 1
    assert [list(record)[-1] for record in json.loads(done.stdout)] == ["error", "captured_at"]
    assert len(done.stderr.splitlines()) == 1


def test_k_gives_as_many_labels_as_there_are_at_most(model_path: Path, pictures: Path) -> None:
    done = classify(model_path, "-k", 9, pictures / "a.jpg")
    assert done.stdout.count(",") == 2


def test_t_above_every_score_says_unknown(model_path: Path, pictures: Path) -> None:
    done = classify(model_path, "-t", 1, "--format", "jsonl", pictures / "a.jpg")
    record = json.loads(done.stdout)
    assert record["label"] == "unknown"
    assert record["categories"][0]["label"] != "unknown"


def test_a_float_model_takes_another_normalization(converted: Path, pictures: Path) -> None:
    model, given = converted / "model-float32.tflite", ("--format", "jsonl", pictures / "a.jpg")
    inside, same, other = (
        json.loads(classify(model, *option, *given).stdout)["categories"]
        for option in ((), ("--normalize", "[0,255]"), ("--normalize", "[0,1]"))
    )
    assert inside == same != other


def test_a_missing_model_is_one_line(tmp_path: Path, pictures: Path) -> None:
    done = classify(tmp_path / "missing.tflite", pictures)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-classify: ")
    assert "no such model file" in line


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-k", "0", "x.jpg"),
        ("-t", "2", "x.jpg"),
        ("-t", "nan", "x.jpg"),
        ("--format", "xml", "x.jpg"),
        ("--threads", "0", "x.jpg"),
        ("--no-such-option", "x.jpg"),
        ("--files-from", "-", "-"),
        ("-", "-"),
        ("--allow", "hotdog", "--deny", "nothotdog", "x.jpg"),
        ("--allow", "hotdgo", "x.jpg"),
        ("--deny", "hotdog,nothotdog", "x.jpg"),
        ("--jobs", "0", "x.jpg"),
        ("--rotate", "45", "x.jpg"),
        ("--resize", "stretch", "x.jpg"),
        ("--filter", "cubic", "x.jpg"),
        *(("--roi", wrong, "x.jpg") for wrong in WRONG_REGIONS),
        *(("--normalize", wrong, "x.jpg") for wrong in WRONG_NORMALIZATIONS),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(arguments: tuple[str, ...]) -> None:
    done = run(*CLASSIFY, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-classify: ")
    if len(arguments) == 3:
        assert arguments[0] in line


def test_help_says_what_the_commands_are() -> None:
    done = run("-m", "edge", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "classify" in done.stdout
    assert run("-m", "edge").returncode == 2
    assert run("-m", "edge", "no-such-command").returncode == 2
    assert "examples:" in run(*CLASSIFY, "--help").stdout


def test_a_dash_reads_the_picture_from_stdin(model_path: Path, pictures: Path) -> None:
    with (pictures / "a.jpg").open("rb") as picture:
        done = classify(model_path, "-", "--format", "jsonl", stdin=picture)
    assert done.returncode == 0, done.stderr
    piped = json.loads(done.stdout)
    named = json.loads(classify(model_path, pictures / "a.jpg", "--format", "jsonl").stdout)
    assert piped["source"] == "-"
    assert piped["categories"] == named["categories"]


def test_nothing_on_stdin_is_one_line(model_path: Path) -> None:
    done = classify(model_path, "-", stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert done.stderr.startswith("edge-classify: -: is empty; ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["two\nlines.jpg", "\x1b[31mred.jpg", "\udcff.jpg", "钥匙.jpg"])
def test_a_strange_name_stays_one_line(model_path: Path, pictures: Path, name: str) -> None:
    (pictures / "a.jpg").rename(pictures / name)
    done = classify(model_path, pictures / name)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.isprintable()
    record = json.loads(classify(model_path, pictures / name, "--format", "jsonl").stdout)
    assert record["source"] == str(pictures / name)
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}  # as in most people's locales
    table = classify(model_path, pictures / name, "--format", "csv", env=strict)
    assert (table.returncode, table.stderr) == (0, "")
    assert len(list(csv.DictReader(io.StringIO(table.stdout)))) == 1


def test_a_terminal_without_the_names_letters_gets_them_escaped(
    model_path: Path, pictures: Path
) -> None:
    (pictures / "a.jpg").rename(pictures / "钥匙.jpg")
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    done = classify(model_path, pictures / "钥匙.jpg", env=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u94a5\u5319.jpg" in done.stdout


def test_a_reader_that_leaves_ends_it_quietly(model_path: Path, photo_folder: Path) -> None:
    command = [sys.executable, *CLASSIFY, "-m", str(model_path), *[str(photo_folder)] * 20]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


@pytest.mark.parametrize("runtime", ["litert", "tflite"])
def test_the_runtime_is_silent_unless_asked(model_path: Path, pictures: Path, runtime: str) -> None:
    pytest.importorskip({"litert": "ai_edge_litert", "tflite": "tflite_runtime"}[runtime])
    quiet = classify(model_path, pictures / "a.jpg", "--runtime", runtime)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert len(quiet.stdout.splitlines()) == 1
    asked = classify(model_path, pictures / "a.jpg", "--runtime", runtime, "-v")
    assert asked.stdout == quiet.stdout
    if runtime == "litert":  # the other has nothing to say of this model
        assert "XNNPACK" in asked.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_interrupt_is_exit_130_without_traceback(
    model_path: Path, photo_folder: Path, form: str
) -> None:
    many = [str(photo_folder)] * 2000
    command = [sys.executable, *CLASSIFY, "-m", str(model_path), "--format", form, *many]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def listen() -> None:  # a shell's background job inherits an ignored SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, cwd=ROOT, bufsize=0, preexec_fn=listen, **pipes) as process:
        first = process.stdout.read(1)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")
    if form == "json":
        assert json.loads(first + rest)


def test_a_full_disk_is_one_line_and_exit_1(model_path: Path, photo_folder: Path) -> None:
    command = [sys.executable, *CLASSIFY, "-m", str(model_path), str(photo_folder)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "edge-classify: output: No space left on device; check its permissions and the free space\n"
    )


@pytest.mark.parametrize("threads", ["0", "-1", "257", "99999999999", "many"])
def test_an_impossible_number_of_threads_is_wrong_usage(threads: str) -> None:
    done = run(*CLASSIFY, "--threads", threads, "x.jpg")
    assert done.returncode == 2
    assert "must be a number from 1 to 256, or auto" in done.stderr
