"""Trees of /proc and /sys, as Raspberry Pis have them."""

from __future__ import annotations

from pathlib import Path

CPUFREQ = "sys/devices/system/cpu/cpufreq/policy0"
ZONE = "sys/class/thermal/thermal_zone0"
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
HWMON = "sys/class/hwmon/hwmon1"
CGROUPS_V1 = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t70\t1\nmemory\t0\t70\t{}\n"


def lay_out(root: Path, files: dict[str, str]) -> Path:
    """Write files under a root, and return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def raspberry_pi(root: Path, number: int, **changed: str) -> Path:
    """A Raspberry Pi Zero 2, 3, 4 or 5 with its system; `changed` names facts that differ."""
    facts = _FACTS[number] | {"celsius": "48.3", "governor": "ondemand", "cgroups": "cpu io pids"}
    facts |= changed
    files = {
        "proc/device-tree/model": f"{facts['model']}\0",
        "proc/meminfo": f"MemTotal:  {facts['memory_kb']} kB\nMemFree: 9 kB\n"
        f"MemAvailable:  {facts.get('available_kb', '500000')} kB\nHugePages_Total:   0\n",
        "sys/devices/system/cpu/online": "0-3\n",
        f"{CPUFREQ}/scaling_cur_freq": "600000\n",
        f"{CPUFREQ}/cpuinfo_max_freq": f"{facts['max_khz']}\n",
        f"{CPUFREQ}/scaling_governor": f"{facts['governor']}\n",
        f"{CPUFREQ}/scaling_driver": "cpufreq-dt\n",
        f"{ZONE}/type": f"{facts['zone']}\n",
        f"{ZONE}/temp": f"{round(float(facts['celsius']) * 1000)}\n",
        f"{HWMON}/name": "rpi_volt\n",
        f"{HWMON}/in0_lcrit_alarm": f"{facts.get('alarm', '0')}\n",
        "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
        "sys/fs/cgroup/cgroup.controllers": f"{facts['cgroups']}\n",
    }
    if number < 5:  # a Pi 5 has no such file
        files[FIRMWARE] = f"{facts.get('throttled', '0')}\n"
    return lay_out(root, files)


ZERO_2 = 2
_FACTS = {
    ZERO_2: {
        "model": "Raspberry Pi Zero 2 W Rev 1.0",
        "memory_kb": "436684",
        "max_khz": "1000000",
        "zone": "cpu-thermal",
    },
    3: {
        "model": "Raspberry Pi 3 Model B Plus Rev 1.3",
        "memory_kb": "948304",
        "max_khz": "1400000",
        "zone": "bcm2835_thermal",
    },
    4: {
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "memory_kb": "3884364",
        "max_khz": "1800000",
        "zone": "cpu-thermal",
    },
    5: {
        "model": "Raspberry Pi 5 Model B Rev 1.0",
        "memory_kb": "8245288",
        "max_khz": "2400000",
        "zone": "cpu-thermal",
    },
}


def vcgencmd(root: Path, script: str) -> None:
    """Put a program in vcgencmd's place."""
    lay_out(root, {"usr/bin/vcgencmd": f"#!/bin/sh\n{script}\n"})
    (root / "usr/bin/vcgencmd").chmod(0o755)
