"""This file is about which controllers are there, in which version (cgroups(7)), and what they can limit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class CgroupFacts:
    """What `docker info` tells of control groups."""

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

    @property
    def hybrid(self) -> bool:
        """Version 1 with controllers that version 2 has kept: crun does not run on such a host."""
        return self.version == 1 and bool(self.unclaimed)


@cache
def cgroup_facts(root: Path = _ROOT) -> CgroupFacts:
    """Found out once."""
    unified = root / "cgroup.controllers"
    if unified.exists():
        controllers = frozenset(unified.read_text().split())
        memory, cpu = "memory" in controllers, "cpu" in controllers
        return CgroupFacts(
            version=2,
            controllers=controllers,
            unclaimed=frozenset(),
            memory_limit=memory,
            swap_limit=memory,
            oom_kill_disable=False,
            cpu_cfs_period=cpu,
            cpu_cfs_quota=cpu,
            cpu_shares=cpu,
            cpuset="cpuset" in controllers,
            pids_limit="pids" in controllers,
        )
    controllers = frozenset(path.name for path in root.iterdir() if path.is_dir()) - {"unified", "systemd"}
    left = root / "unified" / "cgroup.controllers"
    return CgroupFacts(
        version=1,
        controllers=controllers,
        unclaimed=frozenset(left.read_text().split()) if left.exists() else frozenset(),
        memory_limit=(root / "memory/memory.limit_in_bytes").exists(),
        swap_limit=(root / "memory/memory.memsw.limit_in_bytes").exists(),
        oom_kill_disable=(root / "memory/memory.oom_control").exists(),
        cpu_cfs_period=(root / "cpu/cpu.cfs_period_us").exists(),
        cpu_cfs_quota=(root / "cpu/cpu.cfs_quota_us").exists(),
        cpu_shares=(root / "cpu/cpu.shares").exists(),
        cpuset=(root / "cpuset/cpuset.cpus").exists(),
        pids_limit=(root / "pids").exists(),
    )
