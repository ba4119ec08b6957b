"""This file is about one look at what a container uses: the kernel's counts, in the Engine API's words.

Which counts are told, and under which names, is dockerd's choice; it differs with the version of the control
groups. A count that this kernel does not have is zero.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from moby.core.types.stats import (
    BlkioEntry,
    BlkioStats,
    ContainerStats,
    CpuStats,
    CpuUsage,
    InterfaceStats,
    MemoryStats,
    PidsStats,
    ThrottlingData,
)
from moby.host.cgroups import BlockCount, CgroupUsage, Readings, cgroup_directories, cgroup_usage

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_COUNTED = (
    "cache", "rss", "rss_huge", "mapped_file", "dirty", "writeback", "pgpgin", "pgpgout", "pgfault",
    "pgmajfault", "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable",
)  # fmt: skip
_MEMORY_1 = (
    *_COUNTED,
    "hierarchical_memory_limit",
    "hierarchical_memsw_limit",
    *(f"total_{name}" for name in _COUNTED),
)
_MEMORY_2 = (
    "anon", "file", "kernel_stack", "slab", "sock", "shmem", "file_mapped", "file_dirty", "file_writeback",
    "anon_thp", "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable",
    "slab_reclaimable", "slab_unreclaimable", "pgfault", "pgmajfault", "workingset_refault",
    "workingset_activate", "workingset_nodereclaim", "pgrefill", "pgscan", "pgsteal", "pgactivate",
    "pgdeactivate", "pglazyfree", "pglazyfreed", "thp_fault_alloc", "thp_collapse_alloc",
)  # fmt: skip
# Devices that the kernel puts into every network namespace once their module is loaded.
_NOBODYS = frozenset(
    {"lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"}
)


class Sampler:
    """Looks at one run of one container.

    With `keep` files stay open between looks, until `close`. `networked` says that it has a network of its
    own, or one that it shares with a container.
    """

    def __init__(self, container: str, pid: int, *, networked: bool, keep: bool = False) -> None:
        self.pid = pid
        self._container = container
        self._networked = networked
        self._readings = Readings(keep=keep)
        self._directories: Mapping[str, str] | None = None

    def sample(self) -> ContainerStats:
        """What it uses now, without names and times. Raises OSError if it has ended."""
        if self._directories is None:
            self._directories = cgroup_directories(self.pid, self._container)
        usage = cgroup_usage(self._directories, self._readings)
        total, processors = machine_time(self._readings.text("/proc/stat"))
        networks = {}
        if self._networked:
            # Not kept open: that would keep the namespace, and all that is in it.
            networks = interfaces(self._readings.once(f"/proc/{self.pid}/net/dev"))
        return ContainerStats(
            cpu_stats=CpuStats(
                CpuUsage(usage.cpu_total, usage.cpu_each, usage.cpu_kernel, usage.cpu_user),
                total,
                processors,
                ThrottlingData(usage.periods, usage.throttled_periods, usage.throttled_time),
            ),
            memory_stats=memory(usage),
            networks=networks,
            pids_stats=PidsStats(usage.processes, usage.processes_limit),
            blkio_stats=block(usage),
        )

    def close(self) -> None:
        """Let go of every file."""
        self._readings.close()


def memory(usage: CgroupUsage) -> MemoryStats:
    """Memory; the machine's stands for no limit."""
    names = _MEMORY_2 if usage.version == 2 else _MEMORY_1
    return MemoryStats(
        usage=usage.memory,
        max_usage=0 if usage.version == 2 else usage.memory_most,
        stats={name: usage.memory_details.get(name, 0) for name in names},
        failcnt=usage.memory_failures,
        limit=min(usage.memory_limit, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
    )


def block(usage: CgroupUsage) -> BlkioStats:
    """Block devices: version 1 tells of nothing by an empty list, version 2 by none."""
    if usage.block is None:
        return BlkioStats()
    found = {name: [_entry(count) for count in counts] for name, counts in usage.block.items()}
    if usage.version == 2:
        return BlkioStats(io_service_bytes_recursive=found["io_service_bytes"] or None)
    return BlkioStats(
        *(
            found.get(name, [])
            for name in (
                "io_service_bytes", "io_serviced", "io_queue", "io_service_time", "io_wait_time", "io_merged",
                "io_time", "sectors",
            )
        )
    )  # fmt: skip


def _entry(count: BlockCount) -> BlkioEntry:
    return BlkioEntry(count.major, count.minor, count.operation, count.value)


def machine_time(text: str) -> tuple[int, int]:
    """The time that all processors have spent, in nanoseconds, and how many there are (proc_stat(5))."""
    ticks, processors = 0, 0
    for line in text.splitlines():
        if not line.startswith("cpu"):
            break
        if line[3] == " ":
            # Without the time that a hypervisor gave to others.
            ticks = sum(int(word) for word in line.split()[1:8])
        else:
            processors += 1
    return ticks * _TICK_NS, processors


def interfaces(text: str) -> dict[str, InterfaceStats]:
    """The interfaces that a container was given, by their names (proc_pid_net(5), `dev`)."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        counts = [int(word) for word in rest.split()]
        if (interface := name.strip()) not in _NOBODYS and len(counts) >= 12:
            found[interface] = InterfaceStats(*counts[0:4], *counts[8:12])
    return found
