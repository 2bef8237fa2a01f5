"""Whether edge-benchmark can be believed: held against other instruments, and against itself.

One model, one thread, on a machine that should have nothing else to do:

- invoke's p50 against litert-benchmark's median (it comes with ai-edge-litert), in turns;
- the same against a bare loop over the interpreter, in one process, in turns;
- what the loop adds to a run;
- how far the p50 of ten benchmarks lie apart, and whether they reported that the machine was busy;
- whether the stages add up to the whole way;
- whether a fifth more of invoke's time, and of the whole way's in one stage, is named by a
  comparison, and a busy neighbour by the look at the machine.

Exit status 1 where one of them does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.benchmark import drawn_picture
from edge.benchmark.compare import SLOWER, compare, record
from edge.benchmark.measure import Plan, measure
from edge.benchmark.report import Findings, Row, findings
from edge.benchmark.stages import invoke_of
from edge.benchmark.tables import machine
from edge.benchmark.timing import clock, settle, time_runs
from edge.benchmark.worker import Combination
from edge.classifier.model import default_model
from edge.classifier.runtime import installed_runtimes
from edge.commands import run
from edge.commands.arguments import count
from edge.errors import EdgeError

NAME = "instrument"
SLOW_DOWN = 0.2
# Put in front of the workers' path: what a stage costs more then.
SLOWER_INVOKE = """
import time
import edge.benchmark.stages as stages
def slower(model, invoke_of=stages.invoke_of):
    invoke = invoke_of(model)
    return lambda: (invoke(), time.sleep({seconds}))
stages.invoke_of = slower
"""
SLOWER_RANK = """
import time
import edge.classifier.classify
def slower(*arguments, rank=edge.classifier.classify.rank):
    time.sleep({seconds})
    return rank(*arguments)
edge.classifier.classify.rank = slower
"""


@dataclass(frozen=True)
class Figure:
    """One thing that should hold."""

    what: str
    measured: str
    wanted: str
    holds: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table; the entry of `python benchmarks/instrument.py`."""
    args = _parser().parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    return run(
        lambda: _measure(args, shlex.join(["python", "benchmarks/instrument.py", *words])), NAME
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/instrument.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, default=default_model(), help="(default: shipped)")
    for flag, default, what in (
        ("--pairs", 9, "of each comparison with another instrument"),
        ("--benchmarks", 10, "whose spread is looked at"),
        ("--num-runs", 200, "of each"),
    ):
        text = f"{what} (default: {default})"
        parser.add_argument(flag, type=count, default=default, metavar="N", help=text)
    return parser


def _measure(args: argparse.Namespace, command: str) -> int:
    if installed_runtimes()[:1] != ["litert"]:
        raise EdgeError("ai-edge-litert", "is not installed", "pip install 'ai-edge-litert>=2.1'")
    print("| what | measured | wanted | holds |\n|---|---|---|---|")
    held = True
    for figure in _figures(args):
        held &= figure.holds
        verdict = "yes" if figure.holds else "NO"
        print(f"| {figure.what} | {figure.measured} | {figure.wanted} | {verdict} |", flush=True)
    last = _benchmark(args)
    print(f"\n{machine(last.before, last.after)}\nload {os.getloadavg()[0]:.1f}\n{command}")
    return 0 if held else 1


def _figures(args: argparse.Namespace) -> Iterator[Figure]:
    ratios = []
    for _ in range(args.pairs):
        theirs = _litert_benchmark(args)
        ratios.append(_p50(_benchmark(args)) / theirs)
    yield _near(f"p50 of litert-benchmark's, {args.pairs} pairs", ratios, 0.03)
    yield _near(f"p50 of a bare loop's, {args.pairs} pairs", _bare_ratios(args), 0.01)
    share = clock().overhead_ns / 1e6
    yield Figure("the loop, of a run of 1 ms", f"{share:.3%}", "below 1 %", share < 0.01)

    several = [_benchmark(args) for _ in range(args.benchmarks)]
    medians = [_p50(one) for one in several]
    apart = max(medians) / min(medians) - 1
    told = sum(bool(_doubts(one)) for one in several)
    yield Figure(
        f"p50 of {args.benchmarks} benchmarks, the most above the least",
        f"{apart:.1%}; {told} reported that the machine was busy",
        "within 5 %, or they say so",
        apart <= 0.05 or told > 0,
    )
    sums = [(_row(one).stages_sum_ms or 0.0) / _whole(one) for one in several]
    yield _near("stages' sum of the whole way", sums, 0.02)
    yield from _slow_downs(args, several[-1])


def _slow_downs(args: argparse.Namespace, base: Findings) -> Iterator[Figure]:
    for what, code, total_ms in (
        ("invoke", SLOWER_INVOKE, _p50(base)),
        ("rank", SLOWER_RANK, _whole(base)),
    ):
        with _injected(code.format(seconds=SLOW_DOWN * total_ms / 1000)):
            slowed = _benchmark(args)
        changes = {c.what: c for c in compare(slowed, record(base, None, raw=True)).comparisons}
        named = [name for name, change in changes.items() if change.verdict == SLOWER]
        judged = changes["invoke" if what == "invoke" else "whole"]
        said = f"{judged.what} {judged.ratio.value:.2f}, slower: {', '.join(named) or 'nothing'}"
        label = f"a sleep of a fifth in {what}, named by the comparison"
        yield Figure(label, said, what, what in named and judged.verdict == SLOWER)
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            stack.enter_context(_busy())
        busy = _benchmark(args)
    doubts = [doubt for doubt in busy.doubts if "machine was busy" in doubt]
    said = f"{len(doubts)} doubts"
    yield Figure("a busy process a core, named by the look at the machine", said, "1", bool(doubts))
    changes = {c.what: c for c in compare(busy, record(base, None, raw=True)).comparisons}
    slower = [name for name, change in changes.items() if change.verdict == SLOWER]
    said = f"invoke {changes['invoke'].ratio.value:.2f}; slower: {', '.join(slower) or 'nothing'}"
    yield Figure("the same has no verdict", said, "nothing", not slower)


def _benchmark(args: argparse.Namespace) -> Findings:
    combination = Combination(args.model.resolve(), "litert", 1)
    plan = Plan((combination,), drawn_picture(), num_runs=args.num_runs, cold_starts=0)
    found = findings(measure(plan), "", "a drawn image")
    if error := found.rows[0].error:
        raise EdgeError(args.model, error, "measure another model")
    return found


def _row(found: Findings) -> Row:
    return found.rows[0]


def _p50(found: Findings) -> float:
    invoke = _row(found).invoke
    assert invoke
    return invoke.p50_ms


def _whole(found: Findings) -> float:
    whole = _row(found).whole
    assert whole
    return whole.p50_ms


def _doubts(found: Findings) -> list[str]:
    return [said for said in (*found.doubts, *_row(found).notes) if "machine was busy" in said]


def _litert_benchmark(args: argparse.Namespace) -> float:
    """The median that litert-benchmark measures, in ms."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        code = "import sys; from ai_edge_litert.tools.benchmark_litert_model import main; main()"
        words = [sys.executable, "-c", code, f"--model={args.model}", f"--result_json={result}"]
        words += [f"--num_runs={args.num_runs}", "--warmup_runs=50", "--num_threads=1"]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise EdgeError("litert-benchmark", f"fails ({reason})", "pip install ml_dtypes")
        return float(json.loads(result.read_text())["latency"]["median_ms"])


def _bare_ratios(args: argparse.Namespace) -> list[float]:
    """Our loop and a bare one over the same interpreter, in turns."""
    with Combination(args.model, "litert", 1).open() as model:
        model.load_input(drawn_picture())
        invoke = invoke_of(model)
        settle(invoke)
        ratios = []
        for number in range(args.pairs):
            loops: list[Callable[[], float]] = [
                lambda: float(statistics.median(time_runs(invoke, num_runs=args.num_runs))) / 1e9,
                lambda: _bare(invoke, args.num_runs),
            ]
            order = loops if number % 2 else loops[::-1]
            medians = {id(loop): loop() for loop in order}
            ratios.append(medians[id(loops[0])] / medians[id(loops[1])])
    return ratios


def _bare(invoke: Callable[[], object], num_runs: int) -> float:
    times = []
    for _ in range(num_runs):
        started = time.perf_counter()
        invoke()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _near(what: str, ratios: Sequence[float], within: float) -> Figure:
    ratio = statistics.median(ratios)
    measured = f"{ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    wanted = f"{1 - within:.2f} to {1 + within:.2f}"
    return Figure(what, measured, wanted, abs(ratio - 1) <= within)


@contextmanager
def _injected(code: str) -> Iterator[None]:
    """Let every process that is started with our path run some code first."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(code)
        sys.path.insert(0, folder)
        try:
            yield
        finally:
            sys.path.remove(folder)


@contextmanager
def _busy() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
