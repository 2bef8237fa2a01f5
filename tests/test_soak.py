"""The service lasts: a short form of tests/soak.py, which has the long one's hour as an option."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="memory and descriptors are read from /proc"
)


def test_the_service_lasts_while_all_around_it_goes_wrong(tmp_path: Path) -> None:
    csv = tmp_path / "soak.csv"
    size = ("--frames", "2000", "--minutes", "0")
    done = run("tests/soak.py", *size, "--seed", "1", "--csv", str(csv))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert told["frames"] == "2000"
    seen = ("events", "models loaded", "models rejected", "failures of sinks", "bad images")
    assert all(int(told[name]) > 0 for name in seen), done.stdout
    assert len(csv.read_text().splitlines()) > 20


def test_what_a_sink_has_not_taken_is_seen(tmp_path: Path) -> None:
    judged = f"""
import sys
from pathlib import Path
from collections import Counter
from types import SimpleNamespace
sys.path.insert(0, "tests")
import soak
folder = Path({str(tmp_path)!r})
changes = [soak.key(f"frame {{n}}", "cup", "key") for n in range(3)]
(folder / "expected.jsonl").write_text("\\n".join(changes) + "\\n")
for name in soak.SINKS:
    (folder / f"{{name}}.taken").write_text("\\n".join(changes) + "\\n")
line = '{{"source": "frame %d", "event": {{"from": "cup", "to": "key"}}}}\\n'
(folder / "results").mkdir()
(folder / "results" / "all.jsonl.1").write_text(line % 0 + line % 1 + line % 1)
(folder / "results" / "all.jsonl").write_text(line % 2)
(folder / "stdout.jsonl").write_text(line % 0 + line % 2)
(folder / "latest.taken").write_text(changes[1] + "\\n" + changes[0] + "\\n")
print(*soak.lost_events(SimpleNamespace(folder=folder, lost=0, counted=Counter())), sep="\\n")
"""
    done = run("-c", judged)
    assert done.stdout.splitlines() == [
        "latest took 2 of 3 events, another at 0",
        "stdout holds 2 of 3 events, another at 1",
    ], done.stderr
