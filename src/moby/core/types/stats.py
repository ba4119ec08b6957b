"""This file is about what a container uses, in the Engine API (`ContainerStats`)."""

from __future__ import annotations

import msgspec

from moby.core.types.wire import always


class _Lower(msgspec.Struct, omit_defaults=True):
    """These objects have their names in snake_case."""


class CpuUsage(_Lower):
    """Time in nanoseconds; for each processor on hosts with version 1 of control groups."""

    total_usage: int = always(0)
    percpu_usage: list[int] = msgspec.field(default_factory=list)
    usage_in_kernelmode: int = always(0)
    usage_in_usermode: int = always(0)


class ThrottlingData(_Lower):
    """How often it had to wait for its share."""

    periods: int = always(0)
    throttled_periods: int = always(0)
    throttled_time: int = always(0)


class CpuStats(_Lower):
    """Processors."""

    cpu_usage: CpuUsage = always(CpuUsage())
    system_cpu_usage: int = 0
    online_cpus: int = 0
    throttling_data: ThrottlingData = always(ThrottlingData())


class MemoryStats(_Lower):
    """Memory in bytes; `stats` as the kernel has it."""

    usage: int = 0
    max_usage: int = 0
    stats: dict[str, int] = msgspec.field(default_factory=dict)
    failcnt: int = 0
    limit: int = 0


class BlkioEntry(_Lower):
    """One kind of operation on one device."""

    major: int = always(0)
    minor: int = always(0)
    op: str = always("")
    value: int = always(0)


class BlkioStats(_Lower):
    """Block devices."""

    io_service_bytes_recursive: list[BlkioEntry] | None = always(None)
    io_serviced_recursive: list[BlkioEntry] | None = always(None)
    io_queue_recursive: list[BlkioEntry] | None = always(None)
    io_service_time_recursive: list[BlkioEntry] | None = always(None)
    io_wait_time_recursive: list[BlkioEntry] | None = always(None)
    io_merged_recursive: list[BlkioEntry] | None = always(None)
    io_time_recursive: list[BlkioEntry] | None = always(None)
    sectors_recursive: list[BlkioEntry] | None = always(None)


class PidsStats(_Lower):
    """Processes and threads."""

    current: int = 0
    limit: int = 0


class InterfaceStats(_Lower):
    """A network interface, as the container counts."""

    rx_bytes: int = always(0)
    rx_packets: int = always(0)
    rx_errors: int = always(0)
    rx_dropped: int = always(0)
    tx_bytes: int = always(0)
    tx_packets: int = always(0)
    tx_errors: int = always(0)
    tx_dropped: int = always(0)


class StorageStats(_Lower):
    """Only other systems tell of this."""


class ContainerStats(_Lower):
    """One sample, and the processors' part of the one before it."""

    id: str = always("")
    name: str = always("")
    os_type: str = always("linux")
    read: str = always("0001-01-01T00:00:00Z")
    cpu_stats: CpuStats = always(CpuStats())
    memory_stats: MemoryStats = always(MemoryStats())
    networks: dict[str, InterfaceStats] = msgspec.field(default_factory=dict)
    pids_stats: PidsStats = always(PidsStats())
    blkio_stats: BlkioStats = always(BlkioStats())
    num_procs: int = always(0)
    storage_stats: StorageStats = always(StorageStats())
    preread: str = always("0001-01-01T00:00:00Z")
    precpu_stats: CpuStats = always(CpuStats())
