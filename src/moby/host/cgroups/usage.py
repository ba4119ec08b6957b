"""This file is about what a control group uses: plain reads of its files, in both versions (cgroups(7)).

Times are in nanoseconds, sizes in bytes. What a kernel or a controller does not tell is missing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from moby.host.cgroups.readings import Readings

_ROOT = Path("/sys/fs/cgroup")
_NO_LIMIT = (1 << 64) - 1
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# What is counted of block devices, and the file of version 1 that has it: kernels before 5.0 have the first
# of these tables for devices with their own scheduler (CFQ), all have the second.
_SCHEDULED = {
    "io_service_bytes": "blkio.io_service_bytes_recursive",
    "io_serviced": "blkio.io_serviced_recursive",
    "io_queue": "blkio.io_queued_recursive",
    "io_service_time": "blkio.io_service_time_recursive",
    "io_wait_time": "blkio.io_wait_time_recursive",
    "io_merged": "blkio.io_merged_recursive",
    "io_time": "blkio.time_recursive",
    "sectors": "blkio.sectors_recursive",
}
_THROTTLED = {
    "io_service_bytes": "blkio.throttle.io_service_bytes_recursive",
    "io_serviced": "blkio.throttle.io_serviced_recursive",
}


class BlockCount(msgspec.Struct, frozen=True):
    """A count of one kind of operation on one block device."""

    major: int
    minor: int
    operation: str
    value: int


class CgroupUsage(msgspec.Struct):
    """What was read; None where there is no such number. A limit of 2**64-1, or one near 2**63, is none.

    `block` has the counts by their names, None without a controller of block devices.
    """

    version: int
    cpu_total: int = 0
    cpu_user: int = 0
    cpu_kernel: int = 0
    cpu_each: list[int] = msgspec.field(default_factory=list)
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0
    memory: int = 0
    memory_most: int = 0
    memory_failures: int = 0
    memory_limit: int = 0
    memory_details: dict[str, int] = msgspec.field(default_factory=dict)
    processes: int = 0
    processes_limit: int = 0
    block: dict[str, list[BlockCount]] | None = None


def cgroup_directories(
    pid: int, name: str = "", root: Path = _ROOT, proc: Path = Path("/proc")
) -> Mapping[str, str]:
    """Where the groups of a process are, by controller; version 2 has the empty name. Raises OSError.

    If a group above a process's own has `name` in its name, that one is meant: an init system in a container
    puts itself into a group of its own.
    """
    found: dict[str, str] = {}
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if name and (at := path.find(name)) >= 0 and (end := path.find("/", at)) >= 0:
            path = path[:end]
        if not controllers:
            found[""] = f"{root}{path}"
            continue
        for controller in controllers.split(","):
            mounted = controllers if (root / controllers).exists() else controller
            found[controller] = f"{root / mounted}{path}"
    return found


def cgroup_usage(directories: Mapping[str, str], readings: Readings) -> CgroupUsage:
    """What a group uses now."""
    if any(name and not name.startswith("name=") for name in directories):
        return _legacy(directories, readings)
    return _unified(directories.get("", ""), readings)


def _unified(directory: str, readings: Readings) -> CgroupUsage:
    def text(name: str) -> str:
        return readings.text(f"{directory}/{name}")

    cpu, events = _pairs(text("cpu.stat")), _pairs(text("memory.events"))
    return CgroupUsage(
        version=2,
        cpu_total=cpu.get("usage_usec", 0) * 1000,
        cpu_user=cpu.get("user_usec", 0) * 1000,
        cpu_kernel=cpu.get("system_usec", 0) * 1000,
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_time=cpu.get("throttled_usec", 0) * 1000,
        memory=_number(text("memory.current")),
        memory_most=_number(text("memory.peak")),
        memory_failures=events.get("oom", 0),
        memory_limit=_number(text("memory.max"), _NO_LIMIT),
        memory_details=_pairs(text("memory.stat")),
        processes=_number(text("pids.current")),
        processes_limit=_number(text("pids.max"), _NO_LIMIT),
        block={"io_service_bytes": _block_2(text("io.stat"))},
    )


def _block_2(text: str) -> list[BlockCount]:
    """Lines of `8:0 rbytes=4096 wbytes=0 rios=1`."""
    found = []
    for line in text.splitlines():
        device, _, rest = line.partition(" ")
        major, colon, minor = device.partition(":")
        if colon and rest:
            counts = dict(word.partition("=")[::2] for word in rest.split())
            for key, operation in (("rbytes", "read"), ("wbytes", "write")):
                value = counts.get(key, "")
                found.append(
                    BlockCount(int(major), int(minor), operation, int(value) if value.isdigit() else 0)
                )
    return found


def _legacy(directories: Mapping[str, str], readings: Readings) -> CgroupUsage:
    def text(controller: str, name: str) -> str:
        directory = directories.get(controller)
        return readings.text(f"{directory}/{name}") if directory else ""

    throttling, ticks = _pairs(text("cpu", "cpu.stat")), _pairs(text("cpuacct", "cpuacct.stat"))
    return CgroupUsage(
        version=1,
        cpu_total=_number(text("cpuacct", "cpuacct.usage")),
        cpu_user=ticks.get("user", 0) * _TICK_NS,
        cpu_kernel=ticks.get("system", 0) * _TICK_NS,
        cpu_each=[int(word) for word in text("cpuacct", "cpuacct.usage_percpu").split()],
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_time=throttling.get("throttled_time", 0),
        memory=_number(text("memory", "memory.usage_in_bytes")),
        memory_most=_number(text("memory", "memory.max_usage_in_bytes")),
        memory_failures=_number(text("memory", "memory.failcnt")),
        memory_limit=_number(text("memory", "memory.limit_in_bytes")),
        memory_details=_pairs(text("memory", "memory.stat")),
        processes=_number(text("pids", "pids.current")),
        processes_limit=_number(text("pids", "pids.max")),
        block=_block_1(directories["blkio"], readings) if "blkio" in directories else None,
    )


def _block_1(directory: str, readings: Readings) -> dict[str, list[BlockCount]]:
    if readings.text(f"{directory}/{_SCHEDULED['io_serviced']}"):
        found = {name: _counts(readings.text(f"{directory}/{file}")) for name, file in _SCHEDULED.items()}
        if any(found.values()):
            return found
    return {name: _counts(readings.text(f"{directory}/{file}")) for name, file in _THROTTLED.items()}


def _counts(text: str) -> list[BlockCount]:
    """Lines of `8:0 Read 4096`, or `8:0 4096`; the sum of all, at the end, is left out."""
    found = []
    for line in text.splitlines():
        words = line.split()
        major, colon, minor = words[0].partition(":") if len(words) > 1 else ("", "", "")
        if colon and words[-1].isdigit():
            found.append(BlockCount(int(major), int(minor), "".join(words[1:-1]), int(words[-1])))
    return found


def _number(text: str, unlimited: int = 0) -> int:
    """A number, 0 for one that is missing."""
    word = text.strip()
    return int(word) if word.isdigit() else unlimited if word == "max" else 0


def _pairs(text: str) -> dict[str, int]:
    words = text.split()
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()}
