"""The machine under the benchmark, before and after: whether a figure is worth believing."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from edge import board
from edge.board import CpuTime, Throttling

LOOK_S = 0.5  # at the load of others, before anything starts
MOST_OTHERS = 0.1  # of a core: what a resting desktop takes
ABSENT = {
    "model": "no device tree and no name in /proc/cpuinfo",
    "num_cores": "/sys/devices/system/cpu does not report it",
    "clock_mhz": "no cpufreq in /sys: the clock is not Linux's to choose, as in a virtual machine",
    "max_clock_mhz": "no cpufreq in /sys",
    "governor": "no cpufreq in /sys",
    "memory_bytes": "/proc/meminfo does not report it",
    "celsius": "no thermal zone of a processor in /sys",
    "throttling": "no vcgencmd, and no firmware of a Raspberry Pi in /sys",
    "load_of_others": "/proc/stat does not report it",
}


@dataclass(frozen=True)
class Conditions:
    """The machine and its state; None if unknown."""

    model: str | None
    num_cores: int | None
    architecture: str
    userland_bits: int
    python: str
    clock_mhz: float | None
    max_clock_mhz: float | None
    governor: str | None
    memory_bytes: int | None
    celsius: float | None
    throttling: Throttling | None
    load_of_others: float | None  # cores: before the start, or while it ran

    @property
    def absent(self) -> dict[str, str]:
        """Why what is None is not known."""
        none = [field.name for field in fields(self) if getattr(self, field.name) is None]
        return {name: ABSENT[name] for name in none}


class Load:
    """How busy others are, from the making of it on; what the given processes do is ours."""

    def __init__(self, pids: Sequence[int] = (), root: Path = board.ROOT) -> None:
        """Begin to count. Args: processes of ours that run already."""
        self._root = root
        self._before = self._now(pids)

    def look(self, pids: Sequence[int]) -> float | None:
        """Return how many cores others kept busy, on average."""
        after = self._now(pids)
        return board.load_of_others(self._before, after) if self._before and after else None

    def _now(self, pids: Sequence[int]) -> CpuTime | None:
        now = board.cpu_time(self._root)
        times = os.times()
        alive = sum(board.processor_time(pid, self._root) or 0.0 for pid in pids)
        own = times.user + times.system + times.children_user + times.children_system + alive
        return replace(now, own_s=own) if now else None


def look(root: Path = board.ROOT, load_of_others: float | None = None) -> Conditions:
    """Look at the machine now, by a process of some 10 ms where there is a vcgencmd."""
    ram = board.ram(root)
    return Conditions(
        model=board.model(root) or board.processor(root),
        num_cores=board.num_cores(root),
        architecture=board.machine(),
        userland_bits=board.userland_bits(),
        python=platform.python_version(),
        clock_mhz=board.clock_mhz(root),
        max_clock_mhz=board.max_clock_mhz(root),
        governor=board.governor(root),
        memory_bytes=ram.total_bytes if ram else None,
        celsius=board.temperature(root),
        throttling=board.throttling(root, vcgencmd=True),
        load_of_others=load_of_others,
    )


def look_before(root: Path = board.ROOT) -> Conditions:
    """Look at the machine before it starts, and for LOOK_S at what others do."""
    load = Load(root=root)
    time.sleep(LOOK_S)
    return look(root, load.look(()))


def doubts(before: Conditions, after: Conditions) -> list[str]:
    """Why the figures should not be believed, a line each; none where they should."""
    found = []
    governors = sorted({of.governor for of in (before, after) if of.governor} - {"performance"})
    if governors:
        found.append(
            f"the governor is {' and '.join(governors)}, not performance: the clock may have been "
            "below its most (sudo cpupower frequency-set -g performance)"
        )
    found += _throttled(before.throttling, after.throttling)
    for of, when in ((before, "before it began"), (after, "while it ran")):
        if of.load_of_others is not None and of.load_of_others > MOST_OTHERS:
            cores = f" of {of.num_cores}" if of.num_cores else ""
            found.append(
                f"the machine was busy: other processes used {of.load_of_others:.2f}{cores} cores "
                f"{when} (top -o %CPU)"
            )
    return found


def _throttled(before: Throttling | None, after: Throttling | None) -> list[str]:
    if after is None:
        return []
    now = [f"{what} at its end" for what in after.now]
    known = before.since_boot if before else ()
    rose = [f"{what} while it ran" for what in after.since_boot if what not in known]
    began = [f"{what} before it began" for what in before.now] if before else []
    causes = list(dict.fromkeys((*rose, *now, *began)))
    return [f"the firmware slowed the processor down: {', '.join(causes)}"] if causes else []
