"""This file is about what a control group uses: plain reads of its files, in both versions (cgroups(7)).

Times are in nanoseconds, sizes in bytes. What a kernel or a controller does not tell is missing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 62
# The order of the fields of docker's answer; version 1 names its files after the first.
_BLOCK_FILES = {
    "io_service_bytes": "blkio.throttle.io_service_bytes_recursive",
    "io_serviced": "blkio.throttle.io_serviced_recursive",
}


@dataclass(frozen=True, slots=True)
class BlockCount:
    """A count of one kind of operation on one block device."""

    major: int
    minor: int
    operation: str
    value: int


@dataclass(slots=True)
class CgroupUsage:
    """What was read; None where there is no such number."""

    version: int
    cpu_total: int = 0
    cpu_user: int = 0
    cpu_kernel: int = 0
    cpu_each: list[int] = field(default_factory=list)
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0
    memory: int = 0
    memory_most: int = 0
    memory_failures: int = 0
    memory_limit: int = 0
    memory_details: dict[str, int] = field(default_factory=dict)
    processes: int = 0
    processes_limit: int = 0
    block_bytes: list[BlockCount] = field(default_factory=list)
    block_operations: list[BlockCount] = field(default_factory=list)


def cgroup_directories(pid: int, root: Path = _ROOT, proc: Path = Path("/proc")) -> Mapping[str, Path]:
    """Where the groups of a process are, by controller; version 2 has the empty name. Raises OSError."""
    found: dict[str, Path] = {}
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found[""] = Path(f"{root}{path}")
            continue
        for controller in controllers.split(","):
            mounted = controllers if (root / controllers).exists() else controller
            found[controller] = Path(f"{root / mounted}{path}")
    return found


def cgroup_usage(directories: Mapping[str, Path]) -> CgroupUsage:
    """What a group uses now."""
    unified = directories.get("")
    if unified is not None and (unified / "cpu.stat").exists() and "memory" not in directories:
        return _unified(unified)
    return _legacy(directories)


def _unified(directory: Path) -> CgroupUsage:
    cpu, events = _pairs(directory / "cpu.stat"), _pairs(directory / "memory.events")
    found = CgroupUsage(
        version=2,
        cpu_total=cpu.get("usage_usec", 0) * 1000,
        cpu_user=cpu.get("user_usec", 0) * 1000,
        cpu_kernel=cpu.get("system_usec", 0) * 1000,
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_time=cpu.get("throttled_usec", 0) * 1000,
        memory=_number(directory / "memory.current"),
        memory_most=_number(directory / "memory.peak"),
        memory_failures=events.get("max", 0),
        memory_limit=_number(directory / "memory.max"),
        memory_details=_pairs(directory / "memory.stat"),
        processes=_number(directory / "pids.current"),
        processes_limit=_number(directory / "pids.max"),
    )
    for line in _lines(directory / "io.stat"):
        device, _, rest = line.partition(" ")
        major, _, minor = device.partition(":")
        counts = dict(word.partition("=")[::2] for word in rest.split())
        for key, operation in (("rbytes", "read"), ("wbytes", "write")):
            if counts.get(key, "").isdigit():
                found.block_bytes.append(BlockCount(int(major), int(minor), operation, int(counts[key])))
    return found


def _legacy(directories: Mapping[str, Path]) -> CgroupUsage:
    nowhere = Path("/nonexistent")
    cpu, account = directories.get("cpu", nowhere), directories.get("cpuacct", nowhere)
    memory, pids = directories.get("memory", nowhere), directories.get("pids", nowhere)
    throttling, ticks = _pairs(cpu / "cpu.stat"), _pairs(account / "cpuacct.stat")
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    block = directories.get("blkio", nowhere)
    return CgroupUsage(
        version=1,
        cpu_total=_number(account / "cpuacct.usage"),
        cpu_user=ticks.get("user", 0) * tick_ns,
        cpu_kernel=ticks.get("system", 0) * tick_ns,
        cpu_each=[int(word) for word in " ".join(_lines(account / "cpuacct.usage_percpu")).split()],
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_time=throttling.get("throttled_time", 0),
        memory=_number(memory / "memory.usage_in_bytes"),
        memory_most=_number(memory / "memory.max_usage_in_bytes"),
        memory_failures=_number(memory / "memory.failcnt"),
        memory_limit=_number(memory / "memory.limit_in_bytes"),
        memory_details=_pairs(memory / "memory.stat"),
        processes=_number(pids / "pids.current"),
        processes_limit=_number(pids / "pids.max"),
        block_bytes=_block(block / _BLOCK_FILES["io_service_bytes"]),
        block_operations=_block(block / _BLOCK_FILES["io_serviced"]),
    )


def _block(path: Path) -> list[BlockCount]:
    """Lines of `8:0 Read 4096`; the sum at the end is left out."""
    found = []
    for line in _lines(path):
        words = line.split()
        if len(words) == 3 and words[2].isdigit():
            major, _, minor = words[0].partition(":")
            found.append(BlockCount(int(major), int(minor), words[1], int(words[2])))
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _number(path: Path) -> int:
    """A number; 0 for one that is missing, or stands for no limit."""
    lines = _lines(path)
    value = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    return value if value < _UNLIMITED else 0


def _pairs(path: Path) -> dict[str, int]:
    words = (line.split() for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}
