"""What is wrong with limits, and what a host without some controller makes of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from moby.core.errors import InvalidParameter
from moby.core.types.host_config import Resources, ThrottleDevice, WeightDevice
from moby.engine.containers.limits import check_limits, numbers
from moby.host.cgroups import CgroupFacts

EVERYTHING = CgroupFacts(
    version=1,
    controllers=frozenset(),
    unclaimed=frozenset(),
    **{
        field.name: True
        for field in msgspec.structs.fields(CgroupFacts)
        if field.name not in ("version", "controllers", "unclaimed", "cpus", "memory_nodes")
    },
    cpus="0-3",
    memory_nodes="0",
)
NOTHING = CgroupFacts(1, frozenset(), frozenset(), *(False,) * 8)
MEMORY = 64 << 20


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Resources(memory=1), "Minimum memory limit allowed is 6MB"),
        (Resources(memory=MEMORY, memory_swap=MEMORY - 1), "Minimum memoryswap limit should be larger than memory limit, see usage"),
        (Resources(memory_swap=MEMORY), "You should always set the Memory limit when using Memoryswap limit, see usage"),
        (Resources(memory_swappiness=101), "Invalid value: 101, valid memory swappiness range is 0-100"),
        (Resources(memory_reservation=1), "Minimum memory reservation allowed is 6MB"),
        (Resources(memory=MEMORY, memory_reservation=MEMORY + 1), "Minimum memory limit can not be less than memory reservation limit, see usage"),
        (Resources(nano_cpus=1, cpu_period=1000), "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        (Resources(nano_cpus=1, cpu_quota=1000), "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (Resources(cpu_period=10), "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
        (Resources(cpu_quota=10), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (Resources(cpu_shares=-1), "invalid CPU shares (-1): value must be a positive integer"),
        (Resources(cpu_realtime_period=1000, cpu_realtime_runtime=1001), "cpu real-time runtime cannot be higher than cpu real-time period"),
        (Resources(cpuset_cpus="2-5"), "Requested CPUs are not available - requested 2-5, available: 0-3"),
        (Resources(cpuset_cpus="a"), "Invalid value a for cpuset cpus: invalid format: a"),
        (Resources(cpuset_mems="0-9999999999"), "Invalid value 0-9999999999 for cpuset mems: value of out range, maximum is 8192"),
        (Resources(cpuset_mems="1"), "Requested memory nodes are not available - requested 1, available: 0"),
        (Resources(blkio_weight=1001), "Range of blkio weight is from 10 to 1000"),
        (Resources(io_maximum_iops=1), "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps"),
    ],
)  # fmt: skip
def test_what_is_refused(limits: Resources, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_limits(limits, EVERYTHING)
    assert caught.value.message == message


def test_real_time_needs_a_kernel_that_has_it() -> None:
    with pytest.raises(InvalidParameter, match="kernel does not support CPU real-time scheduler"):
        check_limits(Resources(cpu_realtime_runtime=1), NOTHING)


def test_swap_alone_can_be_updated() -> None:
    assert check_limits(Resources(memory_swap=MEMORY), EVERYTHING, update=True) == []


@pytest.mark.parametrize(
    ("limits", "warning", "left"),
    [
        (Resources(memory=MEMORY), "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.", Resources(memory_swap=-1)),
        (Resources(memory_swappiness=5), "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.", Resources()),
        (Resources(memory_reservation=MEMORY), "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.", Resources()),
        (Resources(oom_kill_disable=True), "Your kernel does not support OomKillDisable. OomKillDisable discarded.", Resources()),
        (Resources(pids_limit=5), "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.", Resources()),
        (Resources(cpu_shares=5), "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.", Resources()),
        (Resources(cpu_period=1), "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.", Resources()),
        (Resources(cpu_percent=1), "linux does not support CPU percent. Percent discarded.", Resources()),
        (Resources(cpuset_cpus="0"), "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.", Resources()),
        (Resources(blkio_weight=100), "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.", Resources()),
        (Resources(blkio_weight_device=[WeightDevice("/dev/sda", 10)]), "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.", Resources(blkio_weight_device=[])),
        (Resources(blkio_device_read_bps=[ThrottleDevice("/dev/sda", 10)]), "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.", Resources(blkio_device_read_bps=[])),
        (Resources(blkio_device_write_iops=[ThrottleDevice("/dev/sda", 10)]), "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.", Resources(blkio_device_write_iops=[])),
    ],
)  # fmt: skip
def test_what_a_kernel_cannot_do_is_taken_out(limits: Resources, warning: str, left: Resources) -> None:
    assert check_limits(limits, NOTHING) == [warning]
    assert limits == left


def test_a_kernel_without_swap_limits_memory_alone() -> None:
    limits = Resources(memory=MEMORY, memory_swap=2 * MEMORY)
    facts = msgspec.structs.replace(EVERYTHING, swap_limit=False)
    assert check_limits(limits, facts) == [
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
        "Memory limited without swap."
    ]
    assert limits.memory_swap == -1


def test_without_a_limit_a_container_that_is_never_killed_takes_all() -> None:
    limits: dict[str, Any] = {"oom_kill_disable": True}
    assert check_limits(Resources(**limits), EVERYTHING)[0].startswith("OOM killer is disabled")
    assert check_limits(Resources(memory=MEMORY, **limits), EVERYTHING) == []


@pytest.mark.parametrize(
    ("text", "found"), [("", set()), ("7", {7}), ("0,3-4,3", {0, 3, 4}), ("03,1-3", {1, 2, 3})]
)
def test_lists_of_numbers(text: str, found: set[int]) -> None:
    assert numbers(text, 0) == found


@pytest.mark.parametrize("text", ["-", "3-1", "1-", ",", "1,,2", "-1", "x"])
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="invalid format"):
        numbers(text, 0)
