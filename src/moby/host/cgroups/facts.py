"""This file is about which controllers are there, in which version (cgroups(7)), and what they can limit."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import msgspec

_ROOT = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")
_NO_CONTROLLERS = frozenset({"unified", "systemd"})


class CgroupFacts(msgspec.Struct, frozen=True):
    """What `docker info` tells of control groups, and what decides which limits containers can have.

    `cpus` and `memory_nodes` are lists as the kernel writes them, such as `0-3,8`.
    """

    version: int
    controllers: frozenset[str]
    unclaimed: frozenset[str]
    memory_limit: bool
    swap_limit: bool
    oom_kill_disable: bool
    cpu_cfs_period: bool
    cpu_cfs_quota: bool
    cpu_shares: bool
    cpuset: bool
    pids_limit: bool
    memory_reservation: bool = False
    swappiness: bool = False
    cpu_realtime: bool = False
    block_weight: bool = False
    block_weight_device: bool = False
    block_read_rate: bool = False
    block_write_rate: bool = False
    block_read_operations: bool = False
    block_write_operations: bool = False
    cpus: str = ""
    memory_nodes: str = ""

    @property
    def hybrid(self) -> bool:
        """Version 1 with controllers that version 2 has kept: crun does not run on such a host."""
        return self.version == 1 and bool(self.unclaimed)


@cache
def cgroup_facts(root: Path = _ROOT, own: Path = _SELF) -> CgroupFacts:
    """Found out once. A host without control groups has none of it."""
    if (root / "cgroup.controllers").exists():
        return _unified(root, own)
    return _legacy(root)


def _unified(root: Path, own: Path) -> CgroupFacts:
    controllers = _words(root / "cgroup.controllers")
    memory, cpu, block = "memory" in controllers, "cpu" in controllers, "io" in controllers
    return CgroupFacts(
        version=2,
        controllers=controllers,
        unclaimed=frozenset(),
        memory_limit=memory,
        swap_limit=memory and _has_swap_limit(root, own),
        oom_kill_disable=False,
        cpu_cfs_period=cpu,
        cpu_cfs_quota=cpu,
        cpu_shares=cpu,
        cpuset="cpuset" in controllers,
        pids_limit="pids" in controllers,
        memory_reservation=memory,
        block_weight=block,
        block_weight_device=block,
        block_read_rate=block,
        block_write_rate=block,
        block_read_operations=block,
        block_write_operations=block,
        cpus=_text(root / "cpuset.cpus.effective"),
        memory_nodes=_text(root / "cpuset.mems.effective"),
    )


def _has_swap_limit(root: Path, own: Path) -> bool:
    """The root group has no such file, whatever the kernel was started with (`swapaccount=`); ours has."""
    try:
        path = own.read_text().splitlines()[-1].partition("::")[2].strip("/")
    except (OSError, IndexError):
        path = ""
    if path:
        return (root / path / "memory.swap.max").exists()
    return any(root.glob("*/memory.swap.max"))


def _legacy(root: Path) -> CgroupFacts:
    found = os.listdir(root) if root.is_dir() else []
    # Some hosts mount two in one place, "cpu,cpuacct", and have links of their own names to it.
    controllers = frozenset(name for entry in found if (root / entry).is_dir() for name in entry.split(","))
    return CgroupFacts(
        version=1,
        controllers=controllers - _NO_CONTROLLERS,
        unclaimed=_words(root / "unified" / "cgroup.controllers"),
        memory_limit=(root / "memory/memory.limit_in_bytes").exists(),
        swap_limit=(root / "memory/memory.memsw.limit_in_bytes").exists(),
        oom_kill_disable=(root / "memory/memory.oom_control").exists(),
        cpu_cfs_period=(root / "cpu/cpu.cfs_period_us").exists(),
        cpu_cfs_quota=(root / "cpu/cpu.cfs_quota_us").exists(),
        cpu_shares=(root / "cpu/cpu.shares").exists(),
        cpuset=(root / "cpuset/cpuset.cpus").exists(),
        pids_limit=(root / "pids").is_dir(),
        memory_reservation=(root / "memory/memory.soft_limit_in_bytes").exists(),
        swappiness=(root / "memory/memory.swappiness").exists(),
        cpu_realtime=(root / "cpu/cpu.rt_period_us").exists(),
        block_weight=(root / "blkio/blkio.weight").exists(),
        block_weight_device=(root / "blkio/blkio.weight_device").exists(),
        block_read_rate=(root / "blkio/blkio.throttle.read_bps_device").exists(),
        block_write_rate=(root / "blkio/blkio.throttle.write_bps_device").exists(),
        block_read_operations=(root / "blkio/blkio.throttle.read_iops_device").exists(),
        block_write_operations=(root / "blkio/blkio.throttle.write_iops_device").exists(),
        cpus=_text(root / "cpuset/cpuset.cpus"),
        memory_nodes=_text(root / "cpuset/cpuset.mems"),
    )


def _words(path: Path) -> frozenset[str]:
    return frozenset(_text(path).split())


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
