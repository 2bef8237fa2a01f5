"""Checks of the machine: load, clock, supply, heat, disk, memory."""

from __future__ import annotations

import os
import time
from pathlib import Path

from edge import board
from edge.doctor.finding import FAULT, NOT_HERE, OK, WARNING, Context, Finding

MB = 1_000_000
LOAD_OVER_S = 0.3
HOT_CELSIUS = 80.0  # where a Raspberry Pi's firmware begins to slow down
SCARCE_DISK_MB, TOO_LITTLE_DISK_MB = 300, 50  # snapshots take 200 MB, unless configured
SCARCE_MEMORY_MB, TOO_LITTLE_MEMORY_MB = 200, 80  # the service with a camera takes some 150 MB


def machine(context: Context) -> Finding:
    """What this is, and how busy others keep it."""
    cores = board.num_cores(context.root)
    name = board.model(context.root) or f"{board.machine()} computer"
    found = f"{name}, {cores} cores" if cores else name
    clock, most = board.clock_mhz(context.root), board.max_clock_mhz(context.root)
    if clock and most:
        found += f" at {clock:.0f} of {most:.0f} MHz"
    before = board.cpu_time(context.root)
    time.sleep(LOAD_OVER_S)
    after = board.cpu_time(context.root)
    if before is None or after is None or cores is None:
        return Finding(OK, found)
    others = board.load_of_others(before, after)
    found += f", {others:.1f} of them busy with other work"
    if others > cores / 2:
        return Finding(WARNING, found, "top -o %CPU")
    return Finding(OK, found)


def governor(context: Context) -> Finding:
    """Whether the clock may rise."""
    chosen, driver = board.governor(context.root), board.clock_driver(context.root)
    if not chosen:
        return Finding(NOT_HERE, "no CPU frequency scaling")
    # Intel's and AMD's drivers let the clock rise under "powersave" too.
    if chosen == "powersave" and not (driver or "").startswith(("intel_pstate", "amd")):
        files = "/sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
        remedy = f"echo ondemand | sudo tee {files}"
        return Finding(WARNING, f"{chosen}: the clock stays at its lowest", remedy)
    return Finding(OK, chosen)


def throttling(context: Context) -> Finding:
    """Whether the firmware slows the processor down, or has since it began."""
    told = board.throttling(context.root, vcgencmd=True)
    if told is None:
        return Finding(NOT_HERE, "no Raspberry Pi firmware")
    if not told.now and not told.since_boot:
        partly = told.throttled is None
        return Finding(OK, "no undervoltage; vcgencmd would show more" if partly else "none")
    times = (("now", told.now), ("since boot", told.since_boot))
    found = "; ".join(f"{when}: {', '.join(what)}" for when, what in times if what)
    weak = told.under_voltage or told.under_voltage_since_boot
    supply = "use the official power supply, without a hub or a thin cable between"
    cooling = "fit a heat sink or a fan"
    return Finding(WARNING, found, f"{supply if weak else cooling}, then: vcgencmd get_throttled")


def temperature(context: Context) -> Finding:
    """Whether the processor is too hot to go on at full speed."""
    celsius = board.temperature(context.root)
    if celsius is None:
        return Finding(NOT_HERE, "no sensor for the processor's temperature")
    if celsius >= HOT_CELSIUS:
        return Finding(WARNING, f"{celsius:.0f} Celsius", "fit a heat sink or a fan")
    return Finding(OK, f"{celsius:.0f} Celsius")


def disk(context: Context) -> Finding:
    """Whether there is room to write, where the service writes and where the system does."""
    places = (context.state_folder, context.root, context.root / "tmp")
    findings = [judge_disk(*_statvfs(place)) for place in places]
    worst = max(findings, key=lambda finding: (OK, WARNING, FAULT).index(finding.status))
    if worst.status == OK:
        return Finding(OK, ", ".join(dict.fromkeys(finding.found for finding in findings)))
    return worst


def judge_disk(folder: Path, status: os.statvfs_result) -> Finding:
    """Judge a file system by its free space, free names, and whether it takes anything at all."""
    remedy = f"sudo journalctl --vacuum-size=50M; sudo apt clean; sudo du -xhd1 {folder} | sort -h"
    if folder.name == "tmp":  # often a share of the memory, which nothing else fills
        remedy = f"sudo du -xhd1 {folder} | sort -h; remove what is not needed, or: sudo reboot"
    free_mb = status.f_bavail * status.f_frsize // MB
    found = f"{free_mb} MB free at {folder}"
    if status.f_flag & os.ST_RDONLY:  # what Linux does to a card that fails
        remount = f"sudo dmesg | grep -iE 'mmc|ext4'; sudo mount -o remount,rw {folder}"
        return Finding(FAULT, f"{folder} is mounted read-only", remount)
    if status.f_files and not status.f_favail:
        return Finding(FAULT, f"no free inodes at {folder}", remedy)
    if free_mb < TOO_LITTLE_DISK_MB:
        return Finding(FAULT, found, remedy)
    return Finding(WARNING, found, remedy) if free_mb < SCARCE_DISK_MB else Finding(OK, found)


def _statvfs(place: Path) -> tuple[Path, os.statvfs_result]:
    """Of a folder, or of the nearest around it that is there and may be read."""
    for folder in (place, *place.parents):
        try:
            return folder, os.statvfs(folder)
        except OSError:  # not there yet, or the service's own
            continue
    raise FileNotFoundError(place)


def memory(context: Context) -> Finding:
    """Whether the service fits."""
    ram = board.ram(context.root)
    if ram is None:
        return Finding(NOT_HERE, "/proc/meminfo does not report it")
    free_mb = ram.available_bytes // MB
    found = f"{free_mb} of {ram.total_bytes // MB} MB available"
    if free_mb >= SCARCE_MEMORY_MB:
        return Finding(OK, found)
    status = FAULT if free_mb < TOO_LITTLE_MEMORY_MB else WARNING
    return Finding(status, found, "ps -eo rss,comm --sort=-rss | head")


def memory_limits(context: Context) -> Finding:
    """Whether the unit's MemoryMax is kept."""
    controller = board.memory_controller(context.root)
    if controller is None:
        return Finding(NOT_HERE, "no control groups")
    if controller:
        return Finding(OK, "the memory controller is on: MemoryMax is enforced")
    found = "the memory controller is off: MemoryMax is ignored; edge-watch has max_memory_mb"
    return Finding(WARNING, found, _cmdline_remedy(context.root))


def _cmdline_remedy(root: Path) -> str:
    # Raspberry Pi OS moved it with bookworm.
    places = ("boot/firmware/cmdline.txt", "boot/cmdline.txt")
    there = [place for place in places if (root / place).is_file()]
    if not there:
        return "add cgroup_enable=memory to the kernel's command line, then: sudo reboot"
    try:
        asked = "cgroup_enable=memory" in (root / there[0]).read_text(errors="replace")
    except OSError:
        asked = False
    if asked:  # some kernels of 2025 ignored it: raspberrypi/linux issue 6980
        return "sudo apt full-upgrade && sudo reboot"
    return f"sudo sed -i '1s/$/ cgroup_enable=memory/' /{there[0]} && sudo reboot"
