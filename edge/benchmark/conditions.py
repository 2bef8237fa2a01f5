"""The machine under the benchmark: before, during and after; whether a figure is reliable."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from edge import board, cores
from edge.board import CpuTime, Throttling

LOOK_S = 0.5  # at the load of others, before anything starts
MOST_OTHERS = 0.1  # of a core: what a resting desktop takes
SAMPLE_S = 1.0  # between two samples during the run: 0.2 ms each
FIRMWARE_S = 5.0  # between two runs of vcgencmd: 10 ms each, between two turns
LOW_CLOCK = 0.9  # of the highest clock: below it, a clock under load is low
HOT_CELSIUS = 80.0  # where a Raspberry Pi's firmware begins to slow down
GOVERNOR = "echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
ABSENT = {
    "model": "no device tree and no name in /proc/cpuinfo",
    "kernel": "/proc/sys/kernel/osrelease is missing",
    "os_release": "/etc/os-release has no name",
    "num_cores": "/sys/devices/system/cpu does not report it",
    "cpu_quota": "no CPU quota is set",
    "memory_limit_bytes": "no memory limit is set",
    "clock_mhz": "no cpufreq in /sys: Linux does not control the clock, as in a virtual machine",
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
    kernel: str | None
    os_release: str | None
    num_cores: int | None
    affinity: tuple[int, ...]  # numbers of the cores that this process may run on
    isolated: str  # cores of isolcpus, such as "2-3"
    cpu_quota: float | None  # cores
    memory_limit_bytes: int | None
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


@dataclass(frozen=True)
class During:
    """What samples under load have shown; None if unknown."""

    samples: int
    lowest_clock_mhz: float | None
    highest_celsius: float | None
    throttling: tuple[str, ...] | None  # in words; None where the system does not report it


class Sampler:
    """Samples clock, temperature and throttling while a benchmark runs."""

    def __init__(self, root: Path = board.ROOT) -> None:
        self._root = root
        self._count = 0
        self._clocks: list[float] = []
        self._celsius: list[float] = []
        self._throttling: list[str] | None = None
        self._due_s = self._firmware_s = 0.0

    def under_load(self) -> None:
        """Sample the files, at most once in SAMPLE_S: a worker runs meanwhile."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + SAMPLE_S
        self._count += 1
        clock, celsius = board.clock_mhz(self._root), board.temperature(self._root)
        self._clocks += [clock] if clock else []
        self._celsius += [celsius] if celsius is not None else []
        self._note(board.throttling(self._root))

    def between_turns(self) -> None:
        """Query the firmware, at most once in FIRMWARE_S: no worker is timed meanwhile."""
        if time.monotonic() >= self._firmware_s:
            self._firmware_s = time.monotonic() + FIRMWARE_S
            self._note(board.throttling(self._root, vcgencmd=True))

    def _note(self, found: Throttling | None) -> None:
        if found and (found.is_known or found.now):
            self._throttling = [*(self._throttling or []), *found.now]

    def result(self) -> During:
        """Return what the samples have shown."""
        return During(
            self._count,
            min(self._clocks, default=None),
            max(self._celsius, default=None),
            None if self._throttling is None else tuple(dict.fromkeys(self._throttling)),
        )


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
        kernel=board.kernel(root),
        os_release=board.os_release(root),
        num_cores=board.num_cores(root),
        affinity=cores.affinity(),
        isolated=cores.isolated(root),
        cpu_quota=cores.cpu_quota(root),
        memory_limit_bytes=board.memory_limit(root),
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


def throttling_words(found: Throttling | None) -> str:
    """Return what is known of throttling in words, for a table's footer."""
    if found is None:
        return "throttling unknown"
    if found.now:
        return ", ".join(found.now)
    return "not throttled" if found.is_known else "no undervoltage, throttling unknown"


def remarks(after: Conditions) -> list[str]:
    """What limits the figures without making them wrong, a line each."""
    found = []
    if after.governor not in (None, "performance"):
        found.append(
            f"the governor is {after.governor}: at a low load the clock is low too; for the "
            f"highest clock at all times: {GOVERNOR}"
        )
    if after.cpu_quota:
        found.append(f"a CPU quota of {after.cpu_quota:g} cores limits this process (cpu.max)")
    if after.num_cores and len(after.affinity) < after.num_cores:
        listed = ", ".join(map(str, after.affinity))
        found.append(f"the affinity limits this process to the cores {listed} of {after.num_cores}")
    if after.isolated:
        found.append(f"isolcpus reserves the cores {after.isolated}")
    if after.memory_limit_bytes:
        megabytes = after.memory_limit_bytes / 1e6
        found.append(f"this process has a memory limit of {megabytes:.0f} MB")
    return found


def doubts(before: Conditions, during: During, after: Conditions) -> list[str]:
    """Why the figures are not reliable, a line each; none where they are."""
    found = _slow_clock(during, after)
    found += _throttled(before.throttling, during, after.throttling)
    for of, when in ((before, "before it began"), (after, "while it ran")):
        if of.load_of_others is not None and of.load_of_others > MOST_OTHERS:
            share = f" of {of.num_cores}" if of.num_cores else ""
            found.append(
                f"the machine was busy: other processes used {of.load_of_others:.2f}{share} cores "
                f"{when} (top -o %CPU)"
            )
    return found


def _slow_clock(during: During, after: Conditions) -> list[str]:
    found = []
    lowest, highest = during.lowest_clock_mhz, after.max_clock_mhz
    if lowest and highest and lowest < LOW_CLOCK * highest:
        found.append(
            f"the clock was as low as {lowest:.0f} of {highest:.0f} MHz under load; the governor "
            f"is {after.governor} ({GOVERNOR})"
        )
    if during.highest_celsius is not None and during.highest_celsius >= HOT_CELSIUS:
        found.append(
            f"it reached {during.highest_celsius:.0f} Celsius, where a Raspberry Pi slows down "
            "(fit a heat sink or a fan)"
        )
    return found


def _throttled(before: Throttling | None, during: During, after: Throttling | None) -> list[str]:
    known = before.since_boot if before else ()
    since = after.since_boot if after else ()
    rose = [f"{what} while it ran" for what in since if what not in known]
    rose += [f"{what} while it ran" for what in during.throttling or ()]
    now = [f"{what} at its end" for what in (after.now if after else ())]
    began = [f"{what} before it began" for what in before.now] if before else []
    causes = list(dict.fromkeys((*rose, *now, *began)))
    return [f"the firmware slowed the processor down: {', '.join(causes)}"] if causes else []
