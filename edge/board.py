"""The machine and its state, read from /proc and /sys; None if unknown.

Every function takes the root of the tree that it reads, and costs well below a millisecond unless
stated otherwise.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path

from edge.cores import group_files

ROOT = Path("/")
VCGENCMD_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Ram:
    """The machine's memory, in bytes."""

    total_bytes: int
    available_bytes: int  # what can be had without swapping


@dataclass(frozen=True)
class ProcessMemory:
    """The memory of this process, in bytes."""

    rss_bytes: int
    anonymous_bytes: (
        int  # without the pages of files, which the system can drop: what leaks show in
    )


@dataclass(frozen=True)
class CpuTime:
    """Processor time used until now, in seconds; two of these make a load."""

    at_s: float  # time.monotonic()
    busy_s: float  # of all processes on all cores
    own_s: float  # of this process


@dataclass(frozen=True)
class Throttling:
    """What the firmware of a Raspberry Pi does against heat and undervoltage; None: unknown.

    The second four, read from sysfs, are only sure where True: the kernel's own look at them, every
    2 s, clears them there. vcgencmd's are those since boot.
    """

    under_voltage: bool | None = None
    frequency_capped: bool | None = None
    throttled: bool | None = None
    soft_limit: bool | None = None  # the soft temperature limit, 60 Celsius on a Pi 3 B+
    under_voltage_since_boot: bool | None = None
    frequency_capped_since_boot: bool | None = None
    throttled_since_boot: bool | None = None
    soft_limit_since_boot: bool | None = None

    @property
    def is_known(self) -> bool:
        """Whether throttling itself is reported, not under-voltage alone."""
        return self.throttled is not None

    @property
    def now(self) -> tuple[str, ...]:
        """What is the matter at present, in words."""
        return self._said(since_boot=False)

    @property
    def since_boot(self) -> tuple[str, ...]:
        """What was the matter at some time, in words."""
        return self._said(since_boot=True)

    def _said(self, *, since_boot: bool) -> tuple[str, ...]:
        named = [f.name for f in fields(self) if getattr(self, f.name)]
        return tuple(
            name.removesuffix("_since_boot").replace("_", " ")
            for name in named
            if name.endswith("_since_boot") == since_boot
        )


# The bits in the order of Throttling's fields. Source:
# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
THROTTLING_BITS = (0, 1, 2, 3, 16, 17, 18, 19)


def model(root: Path = ROOT) -> str | None:
    """The board's name, such as "Raspberry Pi 4 Model B Rev 1.4"."""
    return _read(root / "proc/device-tree/model") or None


def is_raspberry_pi(root: Path = ROOT) -> bool:
    """Whether the board calls itself a Raspberry Pi."""
    return (model(root) or "").startswith("Raspberry Pi")


def machine() -> str:
    """The kernel's architecture, such as "aarch64": a 64-bit one may run a 32-bit system."""
    return os.uname().machine if hasattr(os, "uname") else "other"  # Windows


def userland_bits() -> int:
    """32 or 64: what this Python was built for, and so what it can load."""
    return 64 if sys.maxsize > 2**32 else 32


def num_cores(root: Path = ROOT) -> int | None:
    """How many cores are switched on."""
    online = _read(root / "sys/devices/system/cpu/online")  # such as "0-3" or "0,2-3"
    spans = re.findall(r"(\d+)(?:-(\d+))?", online or "")
    return sum(int(last or first) - int(first) + 1 for first, last in spans) or None


def clock_mhz(root: Path = ROOT) -> float | None:
    """Return the fastest core's clock as set by the governor: throttling is not in it."""
    return _fastest_mhz(root, "scaling_cur_freq")


def max_clock_mhz(root: Path = ROOT) -> float | None:
    """The highest clock that the fastest core may have."""
    return _fastest_mhz(root, "cpuinfo_max_freq")


def governor(root: Path = ROOT) -> str | None:
    """How the clock is chosen, such as "ondemand"."""
    return _read(root / "sys/devices/system/cpu/cpufreq/policy0/scaling_governor")


def clock_driver(root: Path = ROOT) -> str | None:
    """Who sets the clock, such as "cpufreq-dt": some drivers give a governor's name a new sense."""
    return _read(root / "sys/devices/system/cpu/cpufreq/policy0/scaling_driver")


def ram(root: Path = ROOT) -> Ram | None:
    """The machine's memory."""
    sizes = _kilobytes(root / "proc/meminfo")
    if "MemTotal" not in sizes or "MemAvailable" not in sizes:
        return None
    return Ram(sizes["MemTotal"] * 1024, sizes["MemAvailable"] * 1024)


def process_memory(root: Path = ROOT) -> ProcessMemory | None:
    """The memory of this process."""
    # /proc/self/status has the same in words, and takes ten times as long to write and to read.
    pages = (_read(root / "proc/self/statm") or "").split()  # size, resident, shared, ...
    if len(pages) < 3:
        return None
    resident, shared = int(pages[1]), int(pages[2])
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    return ProcessMemory(resident * page_bytes, (resident - shared) * page_bytes)


def peak_memory(root: Path = ROOT) -> int | None:
    """The most memory that was resident of this process, in bytes; of no process before it."""
    # getrusage's ru_maxrss begins with what the parent had.
    return _kilobytes(root / "proc/self/status").get("VmHWM", 0) * 1024 or None


def processor(root: Path = ROOT) -> str | None:
    """The processor's name, such as "Intel(R) Xeon(R) Processor"; most ARM kernels have none."""
    named = re.search(r"^model name\s*:\s*(.+)$", _read(root / "proc/cpuinfo") or "", re.MULTILINE)
    return named[1].strip() if named else None


def processor_time(pid: int, root: Path = ROOT) -> float | None:
    """Processor time of a process until now, in seconds."""
    # PID (NAME) STATE ...; a name may hold spaces and brackets. utime and stime are 14 and 15.
    words = (_read(root / f"proc/{pid}/stat") or "").rpartition(")")[2].split()
    if len(words) < 13:
        return None
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def temperature(root: Path = ROOT) -> float | None:
    """The processor's temperature in Celsius; the hottest, where several are measured."""
    zones = [(_read(path / "type") or "", path) for path in _zones(root)]
    for kind in ("cpu", "bcm2835", "x86_pkg", "soc"):  # a Raspberry Pi's is "cpu-thermal"
        found = [_number(path / "temp") for name, path in zones if kind in name.lower()]
        known = [value for value in found if value is not None]
        if known:
            return max(known) / 1000
    return None


def throttling(root: Path = ROOT, *, vcgencmd: bool = False) -> Throttling | None:
    """What the firmware of a Raspberry Pi does against heat and a weak supply.

    Where the firmware's bits are not in sysfs (Pi 5), the kernel's alarm reports undervoltage.

    Args:
        root: the tree to read.
        vcgencmd: query the firmware first, by a process of some 10 ms (at most 2 s): not in a loop.
    """
    bits = _ask_vcgencmd(root) if vcgencmd else None
    if bits is None:
        bits = _firmware_bits(root)
    if bits is not None:
        return decode_throttling(bits)
    alarm = _under_voltage_alarm(root)
    return None if alarm is None else Throttling(under_voltage=alarm)


def decode_throttling(bits: int) -> Throttling:
    """Name the bits of get_throttled."""
    return Throttling(*(bool(bits >> bit & 1) for bit in THROTTLING_BITS))


def cpu_time(root: Path = ROOT) -> CpuTime | None:
    """Processor time used until now."""
    head = (_read(root / "proc/stat") or "").partition("\n")[0].split()
    if len(head) < 9 or head[0] != "cpu":
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, head[1:9])
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return CpuTime(time.monotonic(), busy, time.process_time())


def load_of_others(before: CpuTime, after: CpuTime) -> float:
    """How many cores other processes kept busy, on average between the two."""
    passed = after.at_s - before.at_s
    others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return max(0.0, others / passed) if passed > 0 else 0.0


def memory_controller(root: Path = ROOT) -> bool | None:
    """Whether limits of memory are kept, such as MemoryMax: Raspberry Pi OS switches them off."""
    unified = _read(root / "sys/fs/cgroup/cgroup.controllers")
    if unified is not None:
        return "memory" in unified.split()
    known = _read(root / "proc/cgroups")
    if known is None:
        return None
    rows = [line.split() for line in known.splitlines()]
    return any(row[0] == "memory" and row[-1] == "1" for row in rows if row)


def memory_limit(root: Path = ROOT) -> int | None:
    """Return the smallest memory limit of this process's control groups, in bytes."""
    told = group_files(root, "memory", "memory.max", "memory.limit_in_bytes")
    limits = [int(text) for text in told if text.isdecimal()]  # "max" is not a number
    return min((limit for limit in limits if limit < _NO_LIMIT), default=None)


_NO_LIMIT = 1 << 60  # the older hierarchy writes "none" as a number of this size


def out_of_memory_kills(root: Path = ROOT) -> int | None:
    """Return how many processes the kernel has killed for want of memory since boot."""
    found = re.search(r"^oom_kill (\d+)$", _read(root / "proc/vmstat") or "", re.MULTILINE)
    return int(found[1]) if found else None


def kernel(root: Path = ROOT) -> str | None:
    """Return the kernel's release, such as "6.6.51+rpt-rpi-v8"."""
    return _read(root / "proc/sys/kernel/osrelease")


def os_release(root: Path = ROOT) -> str | None:
    """Return the system's name, such as "Debian GNU/Linux 12 (bookworm)"."""
    found = re.search(
        r'^PRETTY_NAME="?([^"\n]+)', _read(root / "etc/os-release") or "", re.MULTILINE
    )
    return found[1] if found else None


def _firmware_bits(root: Path) -> int | None:
    # The first read makes the kernel log "deprecated, use hwmon sysfs instead", once a boot; hwmon
    # knows of under-voltage only.
    for path in (root / "sys/devices/platform").glob("soc*/soc*:firmware/get_throttled"):
        return _hexadecimal(_read(path))
    return None


def clock_is_set(root: Path = ROOT) -> bool | None:
    """Whether systemd-timesyncd has set the clock since boot; None where another one may have."""
    folder = root / "run/systemd/timesync"
    return (folder / "synchronized").exists() if folder.is_dir() else None


def _under_voltage_alarm(root: Path) -> bool | None:
    for path in (root / "sys/class/hwmon").glob("*/name"):
        if _read(path) == "rpi_volt":
            alarm = _number(path.with_name("in0_lcrit_alarm"))
            return None if alarm is None else bool(alarm)
    return None


def _ask_vcgencmd(root: Path) -> int | None:
    program = root / "usr/bin/vcgencmd"
    try:
        said = subprocess.run(
            [program, "get_throttled"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VCGENCMD_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return _hexadecimal(said.strip().removeprefix("throttled="))


def _fastest_mhz(root: Path, name: str) -> float | None:
    policies = (root / "sys/devices/system/cpu/cpufreq").glob("policy*")
    clocks = [_number(policy / name) for policy in policies]
    known = [clock for clock in clocks if clock is not None]
    return max(known) / 1000 if known else None  # the files are in kHz


def _zones(root: Path) -> list[Path]:
    return sorted((root / "sys/class/thermal").glob("thermal_zone*"))


def _kilobytes(path: Path) -> dict[str, int]:
    """The sizes in a file of lines such as "MemTotal:  3884364 kB"."""
    rows = [line.split() for line in (_read(path) or "").splitlines()]
    return {row[0].rstrip(":"): int(row[1]) for row in rows if row[2:] == ["kB"]}


def _number(path: Path) -> int | None:
    text = _read(path) or ""
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _hexadecimal(text: str | None) -> int | None:
    try:
        return int(text or "", 16)
    except ValueError:
        return None


def _read(path: Path) -> str | None:
    """A small file's text without what surrounds it; a device tree's strings end in a zero."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return None
