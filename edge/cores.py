"""How many cores there are for this process: affinity, and the CPU quota of its control group."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def usable_cores(root: Path = ROOT) -> int:
    """Return the cores that this process may run on, within its CPU quota, at least 1."""
    cores = len(affinity())
    quota = cpu_quota(root)
    return min(cores, max(1, int(quota))) if quota else cores


def affinity() -> tuple[int, ...]:
    """Return the numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return how many cores the control group may keep busy, such as 1.5; None if unlimited."""
    quotas = []
    for text in group_files(root, "cpu", "cpu.max", ""):
        quota, _, period = text.partition(" ")  # "150000 100000", or "max 100000"
        quotas += _cores(quota, period)
    for text in group_files(root, "cpu", "", "cpu.cfs_quota_us", "cpu.cfs_period_us"):
        quota, _, period = text.partition(" ")  # -1 means none
        quotas += _cores(quota, period)
    return min(quotas, default=None)


def isolated(root: Path = ROOT) -> str:
    """Return the cores that isolcpus keeps from others, such as "2-3"; empty for none."""
    return _read(root / "sys/devices/system/cpu/isolated")


def group_files(root: Path, controller: str, name: str, *older: str) -> Iterator[str]:
    """Yield the content of a file of this process's control group and of those around it.

    Args:
        root: the tree to read.
        controller: such as "memory".
        name: of the file in the unified hierarchy; "" for none.
        older: of the files in the older hierarchy, whose contents are joined by a space.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers and name:
            yield from _around(root / "sys/fs/cgroup", path, (name,))
        elif controller in controllers.split(",") and any(older):
            yield from _around(_hierarchy(root, controllers, controller), path, older)


def _hierarchy(root: Path, controllers: str, controller: str) -> Path:
    """The older hierarchy's folder: "cpu,cpuacct", or "cpu" as a link to it."""
    folder = root / "sys/fs/cgroup"
    return folder / (controllers if (folder / controllers).is_dir() else controller)


def _around(hierarchy: Path, path: str, names: tuple[str, ...]) -> Iterator[str]:
    group = hierarchy / path.lstrip("/")
    folders = [group, *group.parents]
    for folder in folders[: folders.index(hierarchy) + 1]:
        texts = [_read(folder / name) for name in names]
        if all(texts):
            yield " ".join(texts)


def _cores(quota: str, period: str) -> list[float]:
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return []
    return [int(quota) / int(period)]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
