"""200 damaged models, on each runtime; `python tests/fuzz_models.py` damages thousands."""

from __future__ import annotations

import pytest
from conftest import run

from edge.classifier.runtime import installed_runtimes


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_each_damaged_model_ends_in_an_answer_or_one_line(runtime: str) -> None:
    done = run("tests/fuzz_models.py", "--count", "200", "--seed", "2", "--runtime", runtime)
    assert done.returncode == 0, done.stderr
    *kinds, total = done.stdout.splitlines()
    assert total.startswith("200 damaged models") and total.endswith("each an answer or one line")
    counts = {kind.split()[1].rstrip(":"): int(kind.split()[0]) for kind in kinds}
    assert sum(int(kind.split()[0]) for kind in kinds) == 200
    assert {"answered", "refused"} <= counts.keys()  # it damages enough, and not too much
