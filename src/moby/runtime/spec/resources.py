"""This file is about limits: memory, processors, processes, block devices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from moby.core.errors import InvalidParameter
from moby.core.types.host_config import Resources, ThrottleDevice, Ulimit, WeightDevice

_PERIOD_US = 100_000


# crun 1.8 writes -1 into pids.max, which the kernel refuses: as many as it can number (proc(5), pid_max).
# Goes when Debian 12 does.
_ALL_PROCESSES = 1 << 22


def resources(limits: Resources, *, new: bool = False) -> dict[str, Any]:
    """The cgroup section, without devices; of changes to limits, what they change.

    A `new` container's group begins without a quota: one that is none is not to be set.
    """
    found: dict[str, Any] = {}
    if memory := _memory(limits):
        found["memory"] = memory
    if cpu := _cpu(limits):
        if new and cpu.get("quota", 0) < 0:
            del cpu["quota"]
        found["cpu"] = cpu
    if limits.pids_limit is not None:
        found["pids"] = {"limit": limits.pids_limit if limits.pids_limit > 0 else _ALL_PROCESSES}
    if block := _block(limits):
        found["blockIO"] = block
    return found


def _memory(limits: Resources) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if limits.memory > 0:
        found["limit"] = limits.memory
    if limits.memory_reservation > 0:
        found["reservation"] = limits.memory_reservation
    if limits.memory_swap:
        found["swap"] = limits.memory_swap
    if limits.memory_swappiness is not None and limits.memory_swappiness >= 0:
        found["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable:
        found["disableOOMKiller"] = True
    return found


def _cpu(limits: Resources) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if limits.cpu_shares:
        found["shares"] = limits.cpu_shares
    if limits.nano_cpus > 0:
        found["period"] = _PERIOD_US
        found["quota"] = limits.nano_cpus * _PERIOD_US // 1_000_000_000
    if limits.cpu_period:
        found["period"] = limits.cpu_period
    if limits.cpu_quota:
        found["quota"] = limits.cpu_quota
    if limits.cpu_realtime_period:
        found["realtimePeriod"] = limits.cpu_realtime_period
    if limits.cpu_realtime_runtime:
        found["realtimeRuntime"] = limits.cpu_realtime_runtime
    if limits.cpuset_cpus:
        found["cpus"] = limits.cpuset_cpus
    if limits.cpuset_mems:
        found["mems"] = limits.cpuset_mems
    return found


def _block(limits: Resources) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if limits.blkio_weight:
        found["weight"] = limits.blkio_weight
    if limits.blkio_weight_device:
        found["weightDevice"] = [_weight(device) for device in limits.blkio_weight_device]
    for key, listed in (
        ("throttleReadBpsDevice", limits.blkio_device_read_bps),
        ("throttleWriteBpsDevice", limits.blkio_device_write_bps),
        ("throttleReadIOPSDevice", limits.blkio_device_read_iops),
        ("throttleWriteIOPSDevice", limits.blkio_device_write_iops),
    ):
        if listed:
            found[key] = [_throttle(device) for device in listed]
    return found


def _numbers(path: str) -> dict[str, Any]:
    try:
        device = os.stat(path).st_rdev
    except OSError as error:
        raise InvalidParameter(f"stat {path}: {(error.strerror or '').lower()}") from error
    return {"major": os.major(device), "minor": os.minor(device)}


def _weight(device: WeightDevice) -> dict[str, Any]:
    return {**_numbers(device.path), "weight": device.weight}


def _throttle(device: ThrottleDevice) -> dict[str, Any]:
    return {**_numbers(device.path), "rate": device.rate}


def rlimits(own: Sequence[Ulimit], defaults: Sequence[Ulimit]) -> list[dict[str, Any]]:
    """Limits on processes, the daemon's defaults where the container has none of its own."""
    merged = {limit.name: limit for limit in (*defaults, *own)}
    return [
        {"type": f"RLIMIT_{limit.name.upper()}", "hard": _unsigned(limit.hard), "soft": _unsigned(limit.soft)}
        for limit in merged.values()
    ]


def _unsigned(value: int) -> int:
    return value % (1 << 64)
