"""What people read is in plain words: none of the project's old dialect (tests/dialect.py)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import ROOT
from dialect import files, find


def test_nothing_that_people_read_is_in_dialect() -> None:
    listed = files()
    assert len(listed) > 200
    hits = [str(hit) for path, name in listed for hit in find(path, name)]
    assert hits == [], "\n".join(hits)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.py", 'x = "the service tells it"\n# so\n# many photos\n', ["2:so many", "1:tells"]),
        ("a.py", 'def told() -> str:\n    """Return `told` of {x}."""\n    return "told"\n', []),
        ("a.py", 'f"{told} is told"\n"""A\nlook-alike."""\n', ["1:told", "3:look-alike"]),
        ("a.sh", "say 'nobody here'\nsays x\n", ["1:nobody"]),
        ("a.sh", "cat <<END\nit is told\nEND\ntold=1\n", ["2:told"]),
        ("a.js", "const told = `${told} is told`;\n", ["1:told"]),
        ("a.md", "largest\npicture, `say`, [ask](say.md)\n", ["1:largest", "2:picture", "2:ask"]),
        ("a.js", "const told = 1; // not quiet\n", ["1:not quiet"]),
        ("a.py", 'f"{x} is no file; leave it out"\n"is no longer; there is no file"\n',
         ["1:is no file", "1:leave it out"]),
        ("a.py", '"must be of a, b"  # made anew, or mended\n"a link to nowhere will do"\n',
         ["1:must be of", "1:anew", "1:mended", "2:link to nowhere", "2:will do"]),
        ("a.toml", "pictures = false  # nobody\n", ["1:nobody"]),
    ],
)  # fmt: skip
def test_words_are_found_where_people_read_them(
    tmp_path: Path, name: str, text: str, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    hits = list(find(path, name))
    assert sorted(f"{hit.line}:{hit.word}" for hit in hits) == sorted(words)
    assert all(": write " in str(hit) for hit in hits)


def test_no_file_has_a_merge_conflict() -> None:
    command = ["git", "grep", "-nE", "^(<{7}|>{7}) "]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""
