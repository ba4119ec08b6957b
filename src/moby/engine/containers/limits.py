"""This file is about whether a container's limits make sense, and whether this host can hold it to them.

What the kernel cannot do is taken out, with a warning; what is wrong is refused. The words are dockerd's.
"""

from __future__ import annotations

import os
from typing import Any

from moby.core.errors import InvalidParameter
from moby.core.types.host_config import Resources
from moby.host.cgroups import CgroupFacts

_MINIMUM_MEMORY = 6 << 20
_MOST_LISTED = 8192
_NOT_MOUNTED = "or the cgroup is not mounted"
_SUPPORT = "Your kernel does not support"


def check_limits(limits: Resources, facts: CgroupFacts, *, update: bool = False) -> list[str]:
    """Warnings for the client; changes `limits` in place. Raises InvalidParameter.

    With `update` they are changes: what is not given stays as the container has it.
    """
    return [
        *_memory(limits, facts, update=update),
        *_reservation(limits, facts),
        *_killer(limits, facts),
        *_processes(limits, facts),
        *_nano_processors(limits, facts),
        *_processors(limits, facts),
        *_processor_sets(limits, facts),
        *_block(limits, facts),
    ]


def _memory(limits: Resources, facts: CgroupFacts, *, update: bool) -> list[str]:
    warnings = []
    if limits.memory_swappiness == -1:
        limits.memory_swappiness = None
    if limits.memory and limits.memory < _MINIMUM_MEMORY:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if limits.memory and not facts.memory_limit:
        warnings.append(f"{_SUPPORT} memory limit capabilities {_NOT_MOUNTED}. Limitation discarded.")
        limits.memory, limits.memory_swap = 0, -1
    if limits.memory and limits.memory_swap != -1 and not facts.swap_limit:
        warnings.append(f"{_SUPPORT} swap limit capabilities {_NOT_MOUNTED}. Memory limited without swap.")
        limits.memory_swap = -1
    if limits.memory and 0 < limits.memory_swap < limits.memory:
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not limits.memory and limits.memory_swap > 0 and not update:
        raise InvalidParameter(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if limits.memory_swappiness is not None and not facts.swappiness:
        warnings.append(
            f"{_SUPPORT} memory swappiness capabilities {_NOT_MOUNTED}. Memory swappiness discarded."
        )
        limits.memory_swappiness = None
    if limits.memory_swappiness is not None and not 0 <= limits.memory_swappiness <= 100:
        raise InvalidParameter(
            f"Invalid value: {limits.memory_swappiness}, valid memory swappiness range is 0-100"
        )
    return warnings


def _reservation(limits: Resources, facts: CgroupFacts) -> list[str]:
    warnings = []
    if limits.memory_reservation > 0 and not facts.memory_reservation:
        warnings.append(f"{_SUPPORT} memory soft limit capabilities {_NOT_MOUNTED}. Limitation discarded.")
        limits.memory_reservation = 0
    if 0 < limits.memory_reservation < _MINIMUM_MEMORY:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if 0 < limits.memory < limits.memory_reservation:
        raise InvalidParameter(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    return warnings


def _killer(limits: Resources, facts: CgroupFacts) -> list[str]:
    """Whether the kernel may kill for memory."""
    warnings = []
    if limits.oom_kill_disable is not None and not facts.oom_kill_disable:
        if limits.oom_kill_disable:
            warnings.append(f"{_SUPPORT} OomKillDisable. OomKillDisable discarded.")
        limits.oom_kill_disable = None
    if limits.oom_kill_disable and not limits.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    return warnings


def _processes(limits: Resources, facts: CgroupFacts) -> list[str]:
    warnings = []
    if limits.pids_limit is not None and not facts.pids_limit:
        if limits.pids_limit > 0:
            warnings.append(f"{_SUPPORT} PIDs limit capabilities {_NOT_MOUNTED}. PIDs limit discarded.")
        limits.pids_limit = None
    return warnings


def _nano_processors(limits: Resources, facts: CgroupFacts) -> list[str]:
    if limits.nano_cpus > 0 and limits.cpu_period > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if limits.nano_cpus > 0 and limits.cpu_quota > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if limits.nano_cpus > 0 and not facts.cpu_cfs_quota:
        raise InvalidParameter(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler "
            "or the cgroup is not mounted"
        )
    count = os.cpu_count() or 1
    if not 0 <= limits.nano_cpus <= count * 1_000_000_000:
        raise InvalidParameter(
            f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )
    return []


def _processors(limits: Resources, facts: CgroupFacts) -> list[str]:
    warnings = []
    if (limits.cpu_realtime_period or limits.cpu_realtime_runtime) and not facts.cpu_realtime:
        raise InvalidParameter("kernel does not support CPU real-time scheduler")
    if 0 < limits.cpu_realtime_period < limits.cpu_realtime_runtime:
        raise InvalidParameter("cpu real-time runtime cannot be higher than cpu real-time period")
    if limits.cpu_shares < 0:
        raise InvalidParameter(f"invalid CPU shares ({limits.cpu_shares}): value must be a positive integer")
    if limits.cpu_shares and not facts.cpu_shares:
        warnings.append(f"{_SUPPORT} CPU shares {_NOT_MOUNTED}. Shares discarded.")
        limits.cpu_shares = 0
    if (limits.cpu_period or limits.cpu_quota) and not facts.cpu_cfs_quota:
        warnings.append(f"{_SUPPORT} CPU CFS scheduler. CPU period/quota discarded.")
        limits.cpu_period = limits.cpu_quota = 0
    if limits.cpu_period and not 1000 <= limits.cpu_period <= 1_000_000:
        raise InvalidParameter(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < limits.cpu_quota < 1000:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if limits.cpu_percent > 0:
        warnings.append("linux does not support CPU percent. Percent discarded.")
        limits.cpu_percent = 0
    return warnings


def _processor_sets(limits: Resources, facts: CgroupFacts) -> list[str]:
    warnings = []
    if (limits.cpuset_cpus or limits.cpuset_mems) and not facts.cpuset:
        warnings.append(f"{_SUPPORT} cpuset {_NOT_MOUNTED}. Cpuset discarded.")
        limits.cpuset_cpus = limits.cpuset_mems = ""
    if not _within(limits.cpuset_cpus, facts.cpus, "cpus"):
        raise InvalidParameter(
            f"Requested CPUs are not available - requested {limits.cpuset_cpus}, available: {facts.cpus}"
        )
    if not _within(limits.cpuset_mems, facts.memory_nodes, "mems"):
        raise InvalidParameter(
            f"Requested memory nodes are not available - requested {limits.cpuset_mems}, "
            f"available: {facts.memory_nodes}"
        )
    return warnings


def _within(asked: str, available: str, what: str) -> bool:
    try:
        there = numbers(available, 0)
        return numbers(asked, max(_MOST_LISTED, *there, 0)) <= there
    except ValueError as error:
        raise InvalidParameter(f"Invalid value {asked} for cpuset {what}: {error}") from error


def numbers(text: str, most: int) -> set[int]:
    """The numbers of a list such as `0,3-4`, none larger than `most` unless that is 0. Raises ValueError."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        try:
            low = int(first)
            high = int(last) if dash else low
        except ValueError as error:
            raise ValueError(f"invalid format: {text}") from error
        if high < low:
            raise ValueError(f"invalid format: {text}")
        if most and high > most:
            raise ValueError(f"value of out range, maximum is {most}")
        found.update(range(low, high + 1))
    return found


# The field, whether the kernel has it, what it is called, and what happens to it.
_BLOCK: tuple[tuple[str, str, str, str], ...] = (
    ("blkio_weight_device", "block_weight_device", "Block I/O weight_device", "Weight-device"),
    ("blkio_device_read_bps", "block_read_rate", "BPS Block I/O read limit", "Block I/O BPS read limit"),
    ("blkio_device_write_bps", "block_write_rate", "BPS Block I/O write limit", "Block I/O BPS write limit"),
    ("blkio_device_read_iops", "block_read_operations", "IOPS Block read limit", "Block I/O IOPS read limit"),
    (
        "blkio_device_write_iops",
        "block_write_operations",
        "IOPS Block write limit",
        "Block I/O IOPS write limit",
    ),
)


def _block(limits: Resources, facts: CgroupFacts) -> list[str]:
    warnings = []
    if limits.blkio_weight and not facts.block_weight:
        warnings.append(f"{_SUPPORT} Block I/O weight {_NOT_MOUNTED}. Weight discarded.")
        limits.blkio_weight = 0
    if limits.blkio_weight and not 10 <= limits.blkio_weight <= 1000:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    if limits.io_maximum_bandwidth or limits.io_maximum_iops:
        raise InvalidParameter(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps"
        )
    nothing: list[Any] = []
    for field, fact, name, discarded in _BLOCK:
        if getattr(limits, field) and not getattr(facts, fact):
            warnings.append(f"{_SUPPORT} {name} {_NOT_MOUNTED}. {discarded} discarded.")
            setattr(limits, field, list(nothing))
    return warnings
