"""What a machine says of itself: trees of /proc and /sys, as Raspberry Pis have them, and here."""

from __future__ import annotations

import os
import time
from dataclasses import astuple
from pathlib import Path

import pytest
from trees import CGROUPS_V1, CPUFREQ, FIRMWARE, ZONE, lay_out, raspberry_pi, vcgencmd

from edge import board, cores
from edge.benchmark import conditions
from edge.board import CpuTime, ProcessMemory, Ram, Throttling, decode_throttling

MB = 1_000_000


@pytest.mark.parametrize(
    "number, model, max_mhz, total_mb",
    [
        (3, "Raspberry Pi 3 Model B Plus Rev 1.3", 1400, 971),
        (4, "Raspberry Pi 4 Model B Rev 1.4", 1800, 3977),
        (5, "Raspberry Pi 5 Model B Rev 1.0", 2400, 8443),
    ],
)
def test_a_raspberry_pi_says_what_it_is(
    tmp_path: Path, number: int, model: str, max_mhz: float, total_mb: int
) -> None:
    root = raspberry_pi(tmp_path, number)
    assert board.model(root) == model
    assert board.is_raspberry_pi(root)
    assert board.num_cores(root) == 4
    assert board.clock_mhz(root) == 600
    assert board.max_clock_mhz(root) == max_mhz
    assert board.governor(root) == "ondemand"
    assert board.clock_driver(root) == "cpufreq-dt"
    assert board.temperature(root) == 48.3
    ram = board.ram(root)
    assert ram is not None
    assert (ram.total_bytes // MB, ram.available_bytes) == (total_mb, 500_000 * 1024)
    assert board.memory_controller(root) is False


def test_an_empty_tree_says_nothing(tmp_path: Path) -> None:
    for ask in (
        board.model,
        board.num_cores,
        board.clock_mhz,
        board.max_clock_mhz,
        board.governor,
        board.clock_driver,
        board.ram,
        board.process_memory,
        board.temperature,
        board.throttling,
        board.cpu_time,
        board.memory_controller,
        board.memory_limit,
    ):
        assert ask(tmp_path) is None, ask.__name__
    assert not board.is_raspberry_pi(tmp_path)


@pytest.mark.parametrize("content", ["", "many\n", "12.5\n", "0x\n", "\xff"])
def test_what_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    lay_out(
        tmp_path,
        {
            f"{ZONE}/type": "cpu-thermal",
            f"{ZONE}/temp": content,
            FIRMWARE: content,
            f"{CPUFREQ}/scaling_cur_freq": content,
            "proc/meminfo": content,
            "proc/stat": content,
            "proc/self/statm": content,
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": content,
        },
    )
    assert board.temperature(tmp_path) is None
    assert board.throttling(tmp_path) is None
    assert board.clock_mhz(tmp_path) is None
    assert board.ram(tmp_path) is None
    assert board.cpu_time(tmp_path) is None
    assert board.process_memory(tmp_path) is None
    assert board.memory_limit(tmp_path) is None


def test_the_processors_zone_is_chosen_and_the_hottest_of_several(tmp_path: Path) -> None:
    zones = [("ddr-thermal", 41000), ("soc-thermal", 44000), ("cpu0-thermal", 52000)]
    zones += [("cpu1-thermal", 53500), ("gpu-thermal", 61000)]
    for place, (name, temp) in enumerate(zones):
        zone = f"sys/class/thermal/thermal_zone{place}"
        lay_out(tmp_path, {f"{zone}/type": f"{name}\n", f"{zone}/temp": f"{temp}\n"})
    assert board.temperature(tmp_path) == 53.5


def test_frost_is_a_temperature(tmp_path: Path) -> None:
    assert board.temperature(raspberry_pi(tmp_path, 4, celsius="-7.5")) == -7.5


def test_the_fastest_of_unlike_cores_counts(tmp_path: Path) -> None:
    cpufreq = "sys/devices/system/cpu/cpufreq"
    lay_out(tmp_path, {f"{cpufreq}/policy{n}/scaling_cur_freq": f"{n}00000\n" for n in (4, 12)})
    lay_out(tmp_path, {"sys/devices/system/cpu/online": "0,2-3\n"})
    assert board.clock_mhz(tmp_path) == 1200
    assert board.num_cores(tmp_path) == 3


@pytest.mark.parametrize(
    "bits, now, since_boot",
    [
        (0x0, (), ()),
        (0x1, ("under voltage",), ()),
        (0x2, ("frequency capped",), ()),
        (0x4, ("throttled",), ()),
        (0x8, ("soft limit",), ()),
        (0x10000, (), ("under voltage",)),
        (0x20000, (), ("frequency capped",)),
        (0x40000, (), ("throttled",)),
        (0x80000, (), ("soft limit",)),
        (0x50005, ("under voltage", "throttled"), ("under voltage", "throttled")),
        (0xE0008, ("soft limit",), ("frequency capped", "throttled", "soft limit")),
        (0xFFF0FFF0, (), ()),  # bits without a meaning
    ],
)
def test_each_bit_has_its_name(
    bits: int, now: tuple[str, ...], since_boot: tuple[str, ...]
) -> None:
    throttling = decode_throttling(bits)
    assert throttling.now == now
    assert throttling.since_boot == since_boot
    assert set(astuple(throttling)) <= {True, False}


@pytest.mark.parametrize("number", [3, 4])
def test_sysfs_has_the_firmwares_bits_without_a_prefix(tmp_path: Path, number: int) -> None:
    root = raspberry_pi(tmp_path, number, throttled="80008")
    assert board.throttling(root) == decode_throttling(0x80008)


@pytest.mark.parametrize("alarm", [False, True])
def test_a_pi_5_tells_of_under_voltage_only(tmp_path: Path, alarm: bool) -> None:
    root = raspberry_pi(tmp_path, 5, alarm=str(int(alarm)))
    throttling = board.throttling(root)
    assert throttling == Throttling(under_voltage=alarm)
    assert throttling.throttled is None
    assert throttling.now == (("under voltage",) if alarm else ())


def test_vcgencmd_is_asked_first_and_only_where_wanted(tmp_path: Path) -> None:
    root = raspberry_pi(tmp_path, 5)
    vcgencmd(root, "[ $1 = get_throttled ] && echo throttled=0x50000")
    assert board.throttling(root, vcgencmd=True) == decode_throttling(0x50000)
    assert board.throttling(root) == Throttling(under_voltage=False)


@pytest.mark.parametrize("script", ["exit 1", "echo VCHI initialization failed", "exec sleep 60"])
def test_a_vcgencmd_that_fails_or_hangs_gives_way_to_sysfs(tmp_path: Path, script: str) -> None:
    root = raspberry_pi(tmp_path, 4, throttled="50005")
    vcgencmd(root, script)
    started = time.monotonic()
    assert board.throttling(root, vcgencmd=True) == decode_throttling(0x50005)
    assert time.monotonic() - started < board.VCGENCMD_TIMEOUT_S + 5


def test_the_memory_controller_of_either_hierarchy(tmp_path: Path) -> None:
    for place, (files, expected) in enumerate(
        [
            ({"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n"}, True),
            ({"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io pids\n"}, False),
            ({"proc/cgroups": CGROUPS_V1.format(1)}, True),
            ({"proc/cgroups": CGROUPS_V1.format(0)}, False),
            ({"proc/cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"}, False),
        ]
    ):
        assert board.memory_controller(lay_out(tmp_path / str(place), files)) is expected


def test_the_least_limit_of_the_groups_around_counts(tmp_path: Path) -> None:
    unit = "sys/fs/cgroup/system.slice/edge-watch.service/memory.max"
    lay_out(tmp_path, {"proc/self/cgroup": "0::/system.slice/edge-watch.service\n", unit: "max\n"})
    assert board.memory_limit(tmp_path) is None
    lay_out(tmp_path, {"sys/fs/cgroup/system.slice/memory.max": "500000000\n"})
    assert board.memory_limit(tmp_path) == 500_000_000
    lay_out(tmp_path, {unit: "400000000\n"})
    assert board.memory_limit(tmp_path) == 400_000_000


UNIT = "sys/fs/cgroup/system.slice/edge.slice/edge-watch.service"
SLICE, TOP = "sys/fs/cgroup/system.slice", "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("group", "quotas", "cores_left", "usable"),
    [
        ("/system.slice/edge.slice/edge-watch.service", {UNIT: "150000 100000"}, 1.5, 1),
        ("/system.slice/edge.slice/edge-watch.service",
         {UNIT: "300000 100000", SLICE: "125000 50000", TOP: "max 100000"}, 2.5, 2),
        ("/system.slice/edge.slice/edge-watch.service",
         {UNIT: "50000 100000", SLICE: "300000 100000"}, 0.5, 1),
        ("/system.slice/edge.slice/edge-watch.service", {UNIT: "max 100000"}, None, 4),
        ("/system.slice/elsewhere", {UNIT: "50000 100000"}, None, 4),
        ("/", {TOP: "200000 100000"}, 2.0, 2),  # a container sees its own group as the root
        ("/../../outside", {TOP: "200000 100000"}, 2.0, 2),
        ("/a:b/c", {f"{TOP}/a:b": "300000 100000"}, 3.0, 3),
    ],
)  # fmt: skip
def test_the_tightest_quota_of_nested_groups_counts(
    group: str, quotas: dict[str, str], cores_left: float | None, usable: int,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(cores, "affinity", lambda: (0, 1, 2, 3))
    root = raspberry_pi(tmp_path, 4, cgroups="cpuset cpu io memory pids")
    limits = {"proc/self/cgroup": f"0::{group}\n", f"{UNIT}/memory.max": "400000000\n"}
    limits |= {f"{SLICE}/memory.max": "300000000\n"}
    lay_out(root, limits | {f"{place}/cpu.max": f"{text}\n" for place, text in quotas.items()})
    assert cores.cpu_quota(root) == cores_left
    assert cores.usable_cores(root) == usable
    seen = conditions.look(root)
    assert (seen.cpu_quota, seen.memory_limit_bytes) == (
        cores_left, 300_000_000 if "system.slice" in group else None,
    )  # fmt: skip
    said = " ".join(conditions.remarks(seen))
    assert ("a CPU quota of" in said) == (cores_left is not None)


def test_the_older_hierarchy_has_limits_too(tmp_path: Path) -> None:
    lay_out(tmp_path, {"proc/self/cgroup": "4:cpu,memory:/a\n3:pids:/b\n0::/\n"})
    lay_out(tmp_path, {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n"})
    assert board.memory_limit(tmp_path) is None
    lay_out(tmp_path, {"sys/fs/cgroup/memory/memory.limit_in_bytes": "300000000\n"})
    assert board.memory_limit(tmp_path) == 300_000_000


def test_this_machine_says_what_it_has() -> None:
    assert board.machine() == os.uname().machine
    assert board.userland_bits() in (32, 64)
    assert board.num_cores() == os.cpu_count()
    ram = board.ram()
    assert isinstance(ram, Ram)
    assert 0 < ram.available_bytes <= ram.total_bytes


def test_this_processs_memory_grows_by_what_it_takes() -> None:
    before = board.process_memory()
    taken = b"\1" * (64 * MB)
    after = board.process_memory()
    assert isinstance(before, ProcessMemory)
    assert isinstance(after, ProcessMemory)
    assert after.rss_bytes - before.rss_bytes >= 0.9 * len(taken)
    assert after.anonymous_bytes - before.anonymous_bytes >= 0.9 * len(taken)
    assert after.anonymous_bytes <= after.rss_bytes


def test_the_load_of_others_leaves_this_process_out() -> None:
    before = CpuTime(at_s=10.0, busy_s=100.0, own_s=5.0)
    assert board.load_of_others(before, CpuTime(20.0, 125.0, 15.0)) == 1.5
    assert board.load_of_others(before, CpuTime(20.0, 105.0, 15.0)) == 0.0  # ticks are coarse
    assert board.load_of_others(before, before) == 0.0
    now = board.cpu_time()
    assert now is not None
    assert now.busy_s >= now.own_s > 0


def test_what_the_service_asks_every_few_seconds_is_cheap(tmp_path: Path) -> None:
    root = raspberry_pi(tmp_path, 5)
    for ask in (board.temperature, board.throttling, board.process_memory):
        times = []
        for _ in range(50):
            started = time.perf_counter()
            ask(root)
            times.append(time.perf_counter() - started)
        assert min(times) < 0.001, ask.__name__


def test_a_processes_own_figures(tmp_path: Path) -> None:
    peak, now = board.peak_memory(), board.process_memory()
    assert peak is not None
    assert now is not None
    assert peak >= 0.9 * now.rss_bytes
    spent = board.processor_time(os.getpid())
    assert spent is not None
    assert abs(spent - time.process_time()) < 0.5
    assert board.processor_time(2**30) is None
    assert board.peak_memory(tmp_path) is None


def test_a_processors_name_is_read_where_the_kernel_tells_it(tmp_path: Path) -> None:
    assert board.processor(tmp_path) is None
    cpuinfo = "processor\t: 0\nmodel name\t: Some Core(TM) i5\nflags\t: fpu\n"
    assert board.processor(lay_out(tmp_path, {"proc/cpuinfo": cpuinfo})) == "Some Core(TM) i5"


def test_a_clock_that_is_not_set_yet(tmp_path: Path) -> None:
    assert board.clock_is_set(tmp_path) is None
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    assert board.clock_is_set(tmp_path) is False
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert board.clock_is_set(tmp_path) is True


def test_a_quota_leaves_fewer_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "affinity", lambda: (0, 1, 2, 3))
    assert cores.usable_cores(tmp_path) == 4
    lay_out(tmp_path, {"proc/self/cgroup": "0::/a/b\n"})
    for text, usable in (("max 100000", 4), ("250000 100000", 2), ("20000 100000", 1), ("x", 4)):
        lay_out(tmp_path, {"sys/fs/cgroup/a/cpu.max": f"{text}\n"})
        assert cores.usable_cores(tmp_path) == usable
    lay_out(
        tmp_path / "older",
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "50000\n",
        },
    )
    assert cores.usable_cores(tmp_path / "older") == 2
    lay_out(tmp_path / "older", {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n"})
    assert cores.cpu_quota(tmp_path / "older") is None
