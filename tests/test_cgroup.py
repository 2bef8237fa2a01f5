"""Real control groups, of either hierarchy: a CPU quota and a memory limit meet the benchmark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import ROOT

MODEL = ROOT / "models" / "hotdog-scratch.tflite"
GROUPS = Path("/sys/fs/cgroup")
QUICK = ("--num-runs", "25", "--warmup-runs", "1", "--cold-starts", "0")
# Joins the groups that are named before "--".
JOIN = """
import os, sys
cut = sys.argv.index("--")
for group in sys.argv[1:cut]:
    with open(f"{group}/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
"""
BECOME = "os.execv(sys.executable, [sys.executable, *sys.argv[cut + 1:]])"
# What this process has loaded before it joins does not count: the worker alone meets the limit.
LOAD = f"""
from pathlib import Path
from edge.benchmark import drawn_picture
from edge.benchmark.worker import Combination, Worker
from edge.classifier.runtime import installed_runtimes
from edge.errors import ModelError
{JOIN}
combination = Combination(Path({str(MODEL)!r}), installed_runtimes()[0], 1)
with Worker(combination, drawn_picture()) as worker:
    Path(f"/proc/{{worker.pid}}/oom_score_adj").write_text("1000")
    try:
        worker.open(1)
    except ModelError as error:
        print(error)
"""
Limited = Callable[..., subprocess.CompletedProcess[str]]


def make_group(stack: ExitStack, controller: str, limits: dict[str, str]) -> Path:
    """Make a group of its own with limits; skips where this machine has none to give."""
    unified = (GROUPS / "cgroup.controllers").is_file()
    group = (GROUPS if unified else GROUPS / controller) / f"edge-test-{os.getpid()}"
    try:
        if unified:
            (GROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
        group.mkdir(exist_ok=True)
        stack.callback(group.rmdir)
        for name, value in limits.items():
            (group / name).write_text(value)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    return group


@pytest.fixture
def limited() -> Iterator[Limited]:
    """Run Python in control groups with a quota in cores, or a limit in bytes."""
    if os.geteuid():
        pytest.skip("control groups are made by root only")
    unified = (GROUPS / "cgroup.controllers").is_file()
    with ExitStack() as stack:

        def run(
            *words: object, code: str = JOIN + BECOME, cores: float = 0, size: int = 0
        ) -> subprocess.CompletedProcess[str]:
            quota = str(int(cores * 100_000))
            wanted = {
                "cpu": {"cpu.max": f"{quota} 100000"} if unified else {"cpu.cfs_quota_us": quota},
                "memory": {"memory.max" if unified else "memory.limit_in_bytes": str(size)},
            }
            groups = [
                make_group(stack, controller, wanted[controller])
                for controller, limit in (("cpu", cores), ("memory", size))
                if limit
            ]
            line = [sys.executable, "-c", code, *groups, "--", *words]
            return subprocess.run(
                [*map(str, line)], cwd=ROOT, capture_output=True, text=True, timeout=120
            )

        yield run


def test_a_quota_is_named_recorded_and_taken_into_the_threads(
    limited: Limited, tmp_path: Path
) -> None:
    command = ("-m", "edge", "benchmark", MODEL, *QUICK)
    free, saved = tmp_path / "free.json", tmp_path / "limited.json"
    assert limited(*command, "--threads", "1", "--save", free).returncode == 0
    done = limited(*command, "--save", saved, "--compare", free, cores=1.5, size=400_000_000)
    assert done.returncode in (0, 1), done.stderr
    after = json.loads(saved.read_text())["after"]
    assert after["cpu_quota"] == 1.5
    assert after["memory_limit_bytes"] == pytest.approx(400_000_000, abs=4096)
    (row,) = json.loads(saved.read_text())["rows"]
    assert row["threads"] == 1  # of 1.5 cores
    assert "a CPU quota of 1.5 cores limits this process" in done.stdout
    assert "memory limit of 400 MB" in done.stdout
    assert "not comparable: the CPU quota was " in done.stdout
    assert not done.stdout.rstrip().endswith(": slower") and ": slower\n" not in done.stdout


def test_a_worker_that_the_kernel_killed_at_the_limit_is_named(limited: Limited) -> None:
    done = limited(code=LOAD, size=24_000_000)
    assert done.returncode == 0, done.stderr
    assert f"{MODEL.name}: crashes the runtime" in done.stdout
    assert "(SIGKILL at the memory limit of 24 MB); raise the limit" in done.stdout
