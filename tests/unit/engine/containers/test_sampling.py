"""What the API tells of the kernel's counts."""

from __future__ import annotations

import msgspec

from moby.core.codec import encode
from moby.core.types.stats import BlkioStats, ContainerStats, InterfaceStats
from moby.engine.containers.sampling import block, interfaces, machine_time, memory
from moby.host.cgroups import BlockCount, CgroupUsage

STAT = "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 0 0 0 0 0 0 0 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\nintr 5 cpu\n"
DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:      99      9    0    0    0     0          0         0       99       9    0    0    0     0       0          0
  eth0:    1176      16    1    2    0     0          0         0      516       8    3    4    0     0       0          0
 tunl0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
"""


def test_the_machines_time_is_without_what_was_stolen() -> None:
    assert machine_time(STAT) == (280 * 10_000_000, 2)


def test_interfaces_are_those_that_a_container_was_given() -> None:
    assert interfaces(DEV) == {"eth0": InterfaceStats(1176, 16, 1, 2, 516, 8, 3, 4)}
    assert interfaces("") == {}


def test_memory_of_version_1() -> None:
    found = memory(
        CgroupUsage(
            1, memory=5, memory_most=7, memory_limit=2**63 - 4096, memory_details={"cache": 3, "swap": 9}
        )
    )
    assert (found.usage, found.max_usage, found.stats["cache"], found.stats["total_rss"]) == (5, 7, 3, 0)
    assert "swap" not in found.stats
    assert 0 < found.limit < 2**60


def test_memory_of_version_2_has_no_most() -> None:
    found = memory(
        CgroupUsage(
            2, memory=5, memory_most=7, memory_limit=4096, memory_failures=2, memory_details={"anon": 3}
        )
    )
    assert (found.usage, found.max_usage, found.limit, found.failcnt) == (5, 0, 4096, 2)
    assert (found.stats["anon"], found.stats["workingset_refault"]) == (3, 0)
    assert len(found.stats) == 31


def test_block_devices() -> None:
    counts = {"io_service_bytes": [BlockCount(8, 0, "Read", 4)], "io_serviced": []}
    old = block(CgroupUsage(1, block=counts))
    assert old.io_service_bytes_recursive is not None
    assert old.io_service_bytes_recursive[0].value == 4
    assert old.io_merged_recursive == []
    new = block(CgroupUsage(2, block=counts))
    assert (new.io_serviced_recursive, new.io_merged_recursive) == (None, None)
    assert block(CgroupUsage(2, block={"io_service_bytes": []})) == BlkioStats()
    assert block(CgroupUsage(1)) == BlkioStats()


def test_nothing_is_told_as_docker_tells_it() -> None:
    found = msgspec.json.decode(encode(ContainerStats("id", "/name")))
    assert found["memory_stats"] == found["pids_stats"] == found["storage_stats"] == {}
    assert found["cpu_stats"] == found["precpu_stats"]
    assert found["blkio_stats"]["sectors_recursive"] is None
    assert (found["read"], found["os_type"], found["num_procs"]) == ("0001-01-01T00:00:00Z", "linux", 0)
    assert "networks" not in found
