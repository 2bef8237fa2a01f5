"""Choose moments of a recorded run of install.sh: power_moments.py cuts|kills COUNT INDEX.

Each line of INDEX is a clone of the disk, its fields separated by tabs: the file, seconds since
install.sh began, why it was made ("line": install.sh has just printed one; "tick"; "end":
install.sh has ended), how many lines there were, and the last of them. COUNT moments are printed
in the order of time. "cuts": lines of INDEX, a quarter each just after the last lines and before
the link is switched, and half of them later, up to half a minute after the end. "kills": the number
of lines to wait for, the seconds to wait then, and the line; half of them just after the last
lines, half spread evenly over the run.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SWITCH = ("switching ", "starting it")  # one follows the other at once
# After a line, to kill install.sh: at once, and in the middle of what it announces.
DELAYS_S = (0.0, 0.2)
# A kill so soon before the recorded end may come after the end of another run, and shows nothing.
MARGIN_S = 0.3


@dataclass(frozen=True)
class Moment:
    """A line of INDEX."""

    text: str
    at_s: float
    why: str
    num_lines: int
    line: str


def parse(text: str) -> Moment:
    """Read a line of INDEX."""
    _, at_s, why, num_lines, line = text.split("\t")
    return Moment(text, float(at_s), why, int(num_lines), line)


def spread(moments: list[Moment], count: int) -> list[Moment]:
    """Take `count` of them, evenly, the last one among them."""
    if count >= len(moments):
        return moments
    return [moments[(i + 1) * len(moments) // count - 1] for i in range(count)]


def last(items: list[T], count: int) -> list[T]:
    """Take the last `count` of them, or all."""
    return items[max(0, len(items) - count) :]


def choose_cuts(moments: list[Moment], count: int) -> list[str]:
    """Choose clones of the disk."""
    switch_s = next(m.at_s for m in moments if m.line.startswith(SWITCH))
    lines = last([m for m in moments if m.why == "line"], count // 4)
    ticks = [m for m in moments if m.why == "tick"]
    early = spread([m for m in ticks if m.at_s < switch_s], count // 4)
    late = spread([m for m in ticks if m.at_s >= switch_s], count - len(lines) - len(early))
    return [m.text for m in sorted({*lines, *early, *late}, key=lambda m: m.at_s)]


def choose_kills(moments: list[Moment], count: int) -> list[str]:
    """Choose moments to kill install.sh at."""
    end_s = next(m.at_s for m in moments if m.why == "end")
    running = [m for m in moments if m.at_s < end_s and not m.line.startswith("ended ")]
    lines = [m for m in running if m.why == "line"]
    chosen = [(m.at_s + delay_s, m, delay_s) for m in lines for delay_s in DELAYS_S]
    chosen = last([c for c in chosen if c[0] < end_s - MARGIN_S], count // 2)
    num_spread = count - len(chosen)
    for i in range(num_spread):
        at_s = end_s * (i + 0.5) / num_spread
        before = ([moments[0]] + [m for m in lines if m.at_s <= at_s])[-1]
        chosen.append((at_s, before, max(0.0, at_s - before.at_s)))
    chosen.sort(key=lambda choice: choice[0])
    return [f"{m.num_lines}\t{delay_s:.2f}\t{m.line}" for _, m, delay_s in chosen]


def main() -> int:
    """Print the moments."""
    kind, count, index = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    moments = [parse(text) for text in index.read_text().splitlines()]
    choose = {"cuts": choose_cuts, "kills": choose_kills}[kind]
    print("\n".join(choose(moments, count)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
