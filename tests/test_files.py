"""Files appear whole or not at all, whatever happens while they are written."""

import os
import secrets
from pathlib import Path

import pytest

from edge.files import replace_file


def test_content_reaches_the_disk_before_the_name_does(tmp_path, monkeypatch):
    path, content = tmp_path / "snapshot.jpg", secrets.token_bytes(5000)
    synced: list[bytes] = []

    def fsync(descriptor: int) -> None:
        assert not path.exists()
        synced.append(Path(f"/proc/self/fd/{descriptor}").read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    replace_file(path, content)
    assert synced == [content]
    assert path.read_bytes() == content


def test_a_file_that_is_soon_written_again_waits_for_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: pytest.fail("waits for the disk"))
    replace_file(tmp_path / "latest.json", b"{}", durable=False)
    assert (tmp_path / "latest.json").read_bytes() == b"{}"


def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def fsync(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "watch.jpg"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
