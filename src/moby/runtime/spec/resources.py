"""This file is about limits: memory, processors, processes, block devices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from moby.core.errors import InvalidParameter
from moby.core.types.containers import HostConfig, ThrottleDevice, Ulimit, WeightDevice

_PERIOD_US = 100_000


def resources(host: HostConfig) -> dict[str, Any]:
    """The cgroup section, without devices."""
    found: dict[str, Any] = {}
    if memory := _memory(host):
        found["memory"] = memory
    if cpu := _cpu(host):
        found["cpu"] = cpu
    if host.pids_limit:
        found["pids"] = {"limit": host.pids_limit if host.pids_limit > 0 else -1}
    if block := _block(host):
        found["blockIO"] = block
    return found


def _memory(host: HostConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if host.memory > 0:
        found["limit"] = host.memory
    if host.memory_reservation > 0:
        found["reservation"] = host.memory_reservation
    if host.memory_swap:
        found["swap"] = host.memory_swap
    if host.memory_swappiness is not None and host.memory_swappiness >= 0:
        found["swappiness"] = host.memory_swappiness
    if host.oom_kill_disable:
        found["disableOOMKiller"] = True
    return found


def _cpu(host: HostConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if host.cpu_shares:
        found["shares"] = max(0, host.cpu_shares)
    if host.nano_cpus > 0:
        found["period"] = _PERIOD_US
        found["quota"] = host.nano_cpus * _PERIOD_US // 1_000_000_000
    if host.cpu_period:
        found["period"] = host.cpu_period
    if host.cpu_quota:
        found["quota"] = host.cpu_quota
    if host.cpuset_cpus:
        found["cpus"] = host.cpuset_cpus
    if host.cpuset_mems:
        found["mems"] = host.cpuset_mems
    return found


def _block(host: HostConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if host.blkio_weight:
        found["weight"] = host.blkio_weight
    if host.blkio_weight_device:
        found["weightDevice"] = [_weight(device) for device in host.blkio_weight_device]
    for key, listed in (
        ("throttleReadBpsDevice", host.blkio_device_read_bps),
        ("throttleWriteBpsDevice", host.blkio_device_write_bps),
        ("throttleReadIOPSDevice", host.blkio_device_read_iops),
        ("throttleWriteIOPSDevice", host.blkio_device_write_iops),
    ):
        if listed:
            found[key] = [_throttle(device) for device in listed]
    return found


def _numbers(path: str) -> dict[str, Any]:
    try:
        device = os.stat(path).st_rdev
    except OSError as error:
        raise InvalidParameter(f"{path}: {(error.strerror or '').lower()}") from error
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
