"""Label files as others write them, and how labels fit a model's outputs."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from model_copies import audio

from edge.classifier.labels import fit, given_labels, parse_labels, read_labels
from edge.classifier.metadata import read_metadata
from edge.errors import ModelError


@pytest.mark.parametrize(
    "text, labels",
    [
        ("", ()),
        ("cup\nkey", ("cup", "key")),
        ("cup\nkey\n", ("cup", "key")),
        ("cup\nkey\n\n\n", ("cup", "key")),
        ("cup\r\nkey\r\n", ("cup", "key")),
        ("cup\n\nkey\n", ("cup", "", "key")),
        ("\ufeffcup\nkey\n", ("cup", "key")),
        ("café au lait\n钥匙\n", ("café au lait", "钥匙")),
        ("0 cup\n1 key\n", ("cup", "key")),
        ("0  cup, mug\n1  key\n", ("cup, mug", "key")),
        ("1: key\n0: cup\n", ("cup", "key")),
        ("1 cup\n2 key\n", ("cup", "key")),
        ("0 cup\n2 key\n", ("0 cup", "2 key")),
        ("1 finger\n2 fingers\n3 fingers\n", ("1 finger", "2 fingers", "3 fingers")),
        ("1 euro\n2 Euros\n", ("1 euro", "2 Euros")),
        ("0 eyes\n1 eye\n2 eyes\n", ("0 eyes", "1 eye", "2 eyes")),
        ("1 cent\n2 dimes\n5 pence\n", ("1 cent", "2 dimes", "5 pence")),
        (" 10 Rupees\n 500 Rupees \n\t\n", ("10 Rupees", "500 Rupees")),
        ("# my classes\n#\ncup\n#1 fan\n", ("cup", "#1 fan")),
        ("cup\rkey\r", ("cup", "key")),
        (b"\xef\xbb\xbfcup\r\nkey", ("cup", "key")),
        ("cup\nkey\n".encode("utf-16"), ("cup", "key")),
        ("0 Class 1\n1 Class 2\n", ("Class 1", "Class 2")),
        ("0,cup\n1,key\n", ("cup", "key")),
        ("0\n1\n2\n", ("0", "1", "2")),
        ("7 up\ncola\n", ("7 up", "cola")),
        ("3 musketeers\n100 grand\n", ("3 musketeers", "100 grand")),
        ("0 cup\n0 key\n", ("0 cup", "0 key")),
        ('["cup", "key"]', ("cup", "key")),
        ('{"0": "cup", "1": "key"}', ("cup", "key")),
        ('{"cup": 0, "key": 1}', ("cup", "key")),
        ('{"1": ["n2", "key"], "0": ["n1", "cup"]}', ("cup", "key")),
        ('{"labels": ["cup", "key"], "more": 1}', ("cup", "key")),
        ('[" cup", "key "]', ("cup", "key")),
        ('{"0": "cup", "2": "key"}', ("cup", "1", "key")),
        ('{"class_names": ["cup", "key"]}', ("cup", "key")),
        ('{"doc_id": "x", "classes": {"Label": ["cup", "key"]}, "inputs": {}}', ("cup", "key")),
        ('{"model_parameters": {"labels": ["cup", "key"], "sensor": 3}}', ("cup", "key")),
        ('{"labels": ["cup", "key"], "imageSize": 224}', ("cup", "key")),
        ('{"id2label": {"0": "cup", "1": "key"}, "hidden": 8}', ("cup", "key")),
        ("[cup]\n[key]\n", ("[cup]", "[key]")),
        ("!\n#\n$\n", ("!", "#", "$")),
        (b"0 cup\r\n1 key\r\n\x1a", ("cup", "key")),
        (b"cup\nkey\0", ("cup", "key")),
        ('{"cup": "0", "key": "1"}', ("cup", "key")),
        ('\ufeff{"0": "cup",\r\n"1": "key"}\r\n', ("cup", "key")),
        ("{'cup': 0, 'key': 1}", ("cup", "key")),
        ("['cup', 'key']", ("cup", "key")),
        ('["cup", "key",]', ("cup", "key")),
        ('{\n"0": "cup",\n"1": "key",\n}\n', ("cup", "key")),
        ("{'task': 'classify', 'imgsz': [96, 96], 'names': {0: 'cup', 1: 'key'}}", ("cup", "key")),
    ],
)
def test_labels_are_read_as_others_write_them(text: str | bytes, labels: tuple[str, ...]) -> None:
    assert parse_labels(text) == labels


def test_a_few_equal_names_do_not_keep_the_numbers_of_many() -> None:
    """ImageNet's names hold two cranes."""
    names = [f"thing {index}" for index in range(98)] + ["crane", "crane"]
    text = "\n".join(f"{index} {name}" for index, name in enumerate(names))
    assert parse_labels(text) == tuple(names)


def test_empty_lines_are_left_out_where_the_others_fit() -> None:
    assert fit(("cup", "", "key"), 2) == (
        ("cup", "key"),
        "empty lines of the label file are ignored",
    )
    assert fit(("cup", "", "key"), 3) == (("cup", "", "key"), "")


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        '{"labels": {"classes": 3}}',
        '{"a": "b"}',
        '{"0": "a", "00": "b"}',
        '{"99": "a"}',
        '{"0": "a", "1": "b", "classes": 2}',
        '[{"id": 0, "name": "a"}]',
    ],
)
def test_json_that_is_no_list_of_labels_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a list of labels"):
        parse_labels(text)


@pytest.mark.parametrize(
    "text",
    [
        "{'cup': 0 'key': 1}",
        "[cup, key]",
        '["cup" "key"; ]',
        '{\n"0": "cup"\n"1": "key",\n}\n',
        str([f"label {number}" for number in range(100_000)]),
    ],
)
def test_broken_json_is_no_label(text: str) -> None:
    """One label would fit a sigmoid."""
    with pytest.raises(ValueError, match="broken JSON"):
        parse_labels(text)


def test_a_file_of_labels_is_read_and_a_list_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("cup\nkey\n")
    for given in (file, str(file), ["cup", "key"], ("cup", "key")):
        assert given_labels(given) == ("cup", "key")


def test_what_is_no_label_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "noise.txt").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "odd.json").write_text("[1, 2]")
    (tmp_path / "latin.txt").write_bytes("Käse\nBrot\n".encode("latin-1"))
    (tmp_path / "no-mark.txt").write_bytes("cup\nkey\n".encode("utf-16-le"))
    (tmp_path / "deep.json").write_text("[" * 100_000)
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "large.txt").open("wb") as stream:
        stream.truncate(1 << 30)
    faults = {
        "missing.txt": "no such label file",
        "empty.txt": "contains no labels",
        "noise.txt": "is not a label file",
        "odd.json": "must be a list of labels",
        "latin.txt": "is not a label file in UTF-8; save it as UTF-8",
        "no-mark.txt": "is not a label file in UTF-8; save it as UTF-8",
        "fifo": "is not a label file",
        "large.txt": "is too large",
        "": "is not a label file",
    }
    for name, fault in faults.items():
        with pytest.raises(ModelError, match=fault) as caught:
            read_labels(tmp_path / name)
        assert str(caught.value).isprintable()
    assert read_labels(tmp_path / "deep.json") == ("[" * 100_000,)


def test_labels_that_fit_are_taken_as_they_are() -> None:
    assert fit(("a", "b", "c"), 3) == (("a", "b", "c"), "")
    assert fit(("no", "yes"), 1) == (("no", "yes"), "")
    assert fit(("yes",), 1) == (("not yes", "yes"), "")


@pytest.mark.parametrize("num_outputs, count", [(1, 2), (2, 2), (5, 5)])
def test_indices_stand_for_labels_that_are_missing_and_that_is_said(
    num_outputs: int, count: int
) -> None:
    labels, said = fit((), num_outputs)
    assert labels == tuple("01234"[:count])
    assert "output indices are used" in said


def test_a_background_that_the_model_does_not_know_is_left_out_and_that_is_said() -> None:
    labels, said = fit(("Background", "a", "b"), 2)
    assert labels == ("a", "b")
    assert "(Background), which is ignored" in said
    names = tuple(f"label {index}" for index in range(1001))
    assert fit(names, 1000)[0] == names[1:]


def test_the_background_that_imagenets_labels_lack_is_put_first_and_that_is_said() -> None:
    names = tuple(f"label {index}" for index in range(1000))
    labels, said = fit(names, 1001)
    assert labels == ("background", *names)
    assert "first output, which is used as background" in said


@pytest.mark.parametrize("count, num_outputs", [(2, 3), (3, 2), (1, 2), (3, 1), (999, 1000)])
def test_labels_that_do_not_fit_are_refused(count: int, num_outputs: int) -> None:
    with pytest.raises(ValueError, match=f"{count} labels, {num_outputs} outputs"):
        fit(tuple(f"label {index}" for index in range(count)), num_outputs)


def with_file(name: str, content: bytes) -> bytes:
    """A model with a file in the zip at its end."""
    stream = io.BytesIO(audio())
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    "name, content",
    [
        ("Labels.TXT", b"\xef\xbb\xbfcup\r\nkey\r\n"),
        ("assets/labelmap.txt", b"0 cup\n1 key\n"),
        ("labels.json", b'{"0": "cup", "1": "key"}'),
        ("dict.txt", b"cup\nkey"),
        ("metadata.json", b'{"author": "x", "imgsz": [96, 96], "names": {"0": "cup", "1": "key"}}'),
    ],
)
def test_labels_in_a_model_have_many_names(name: str, content: bytes) -> None:
    assert read_metadata(with_file(name, content), "it").labels == ("cup", "key")


@pytest.mark.parametrize(
    "content",
    [b'{"version": 1, "epoch": 0}', b"version: 1\nepoch: 2\n", b"{", b"\xff", b'{"names": [1]}'],
)
def test_a_description_without_labels_is_no_fault(content: bytes) -> None:
    assert read_metadata(with_file("metadata.json", content), "it").labels == ()


def test_labels_in_a_model_that_are_in_another_encoding_are_named() -> None:
    with pytest.raises(ModelError, match="its labels are not in UTF-8"):
        read_metadata(with_file("labels.txt", "Käse".encode("latin-1")), "it")
