"""This file is about `docker stats`: what containers use, sampled once however many ask."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

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
from moby.engine.containers.container import Container
from moby.engine.containers.record import timestamp
from moby.engine.containers.shelf import Shelf
from moby.host.cgroups.usage import BlockCount, CgroupUsage, cgroup_directories, cgroup_usage
from moby.host.threads import blocking

_EVERY_S = 1.0
_FRESH_S = 0.5
_NS = 1_000_000_000


class Stats:
    """Samples containers."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._latest: dict[str, tuple[float, ContainerStats]] = {}

    async def stats(self, name: str, *, stream: bool, one_shot: bool) -> AsyncIterator[ContainerStats]:
        """Samples, one a second; without `stream` the first that knows the one before it. Raises NotFound."""
        return self._stats(self._shelf.find(name), stream=stream, one_shot=one_shot)

    async def _stats(
        self, container: Container, *, stream: bool, one_shot: bool
    ) -> AsyncGenerator[ContainerStats, None]:
        state = container.record.state
        if not stream and (one_shot or not state.running or state.restarting):
            yield await self._sample(container)
            return
        previous = None
        try:
            while not container.removed:
                sample = await self._sample(container)
                if stream or previous is not None:
                    yield _after(sample, previous)
                    if not stream:
                        return
                previous = sample
                await asyncio.sleep(_EVERY_S)
        finally:
            self._latest.pop(container.id, None)

    async def _sample(self, container: Container) -> ContainerStats:
        """A sample that is fresh enough, or a new one; an empty one of what does not run."""
        state, name = container.record.state, f"/{container.record.name}"
        if not state.running or state.restarting:
            return ContainerStats(container.id, name)
        known = self._latest.get(container.id)
        if known is not None and time.monotonic() - known[0] < _FRESH_S:
            return known[1]
        own_network = container.record.host_config.network_mode != "host"
        try:
            sample = await blocking(_read, state.pid, own_network)
        except OSError:
            # It has ended since.
            return ContainerStats(container.id, name)
        sample.id, sample.name, sample.read = container.id, name, timestamp()
        self._latest[container.id] = (time.monotonic(), sample)
        return sample


def _after(sample: ContainerStats, previous: ContainerStats | None) -> ContainerStats:
    if previous is None:
        return sample
    return ContainerStats(
        sample.id,
        sample.name,
        sample.os_type,
        sample.read,
        sample.cpu_stats,
        sample.memory_stats,
        sample.networks,
        sample.pids_stats,
        sample.blkio_stats,
        preread=previous.read,
        precpu_stats=previous.cpu_stats,
    )


def _read(pid: int, own_network: bool) -> ContainerStats:
    usage = cgroup_usage(cgroup_directories(pid))
    total, processors = _machine()
    return ContainerStats(
        cpu_stats=CpuStats(
            CpuUsage(usage.cpu_total, usage.cpu_each, usage.cpu_kernel, usage.cpu_user),
            total,
            processors,
            ThrottlingData(usage.periods, usage.throttled_periods, usage.throttled_time),
        ),
        memory_stats=_memory(usage),
        networks=_networks(pid) if own_network else {},
        pids_stats=PidsStats(usage.processes, usage.processes_limit),
        blkio_stats=BlkioStats(_entries(usage.block_bytes), _entries(usage.block_operations)),
    )


def _memory(usage: CgroupUsage) -> MemoryStats:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = min(usage.memory_limit or machine, machine)
    if usage.version == 2:
        return MemoryStats(usage.memory, 0, usage.memory_details, 0, limit)
    return MemoryStats(usage.memory, usage.memory_most, usage.memory_details, usage.memory_failures, limit)


def _entries(counts: list[BlockCount]) -> list[BlkioEntry] | None:
    return [BlkioEntry(count.major, count.minor, count.operation, count.value) for count in counts] or None


def _machine() -> tuple[int, int]:
    """The time that all processors have spent, in nanoseconds, and how many there are (proc_stat(5))."""
    lines = Path("/proc/stat").read_text().splitlines()
    ticks = sum(int(word) for word in lines[0].split()[1:9])
    processors = sum(line.startswith("cpu") and line[3:4].isdigit() for line in lines)
    return ticks * _NS // os.sysconf("SC_CLK_TCK"), processors


def _networks(pid: int) -> dict[str, InterfaceStats]:
    """The interfaces that a process sees, but for loopback (proc_pid_net(5), `dev`)."""
    found = {}
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
        name, _, rest = line.partition(":")
        counts = [int(word) for word in rest.split()]
        if (interface := name.strip()) != "lo" and len(counts) >= 12:
            found[interface] = InterfaceStats(*counts[0:4], *counts[8:12])
    return found
