"""Reading what a control group uses, out of files like the kernel's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from moby.host.cgroups.usage import BlockCount, cgroup_directories, cgroup_usage


def write(directory: Path, files: Mapping[str, str]) -> None:
    """Files of a control group."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def test_the_groups_of_a_process_are_found(tmp_path: Path) -> None:
    write(tmp_path, {
        "proc/7/cgroup": "5:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n1:name=systemd:/x\n0::/docker/abc\n",
        "cgroup/cpu,cpuacct/tasks": "",
    })  # fmt: skip
    found = cgroup_directories(7, tmp_path / "cgroup", tmp_path / "proc")
    assert found["cpuacct"] == tmp_path / "cgroup/cpu,cpuacct/docker/abc"
    assert found["memory"] == tmp_path / "cgroup/memory/docker/abc"
    assert found[""] == tmp_path / "cgroup/docker/abc"


def test_version_1(tmp_path: Path) -> None:
    write(tmp_path, {
        "cpuacct.usage": "5000000000\n", "cpuacct.usage_percpu": "2000000000 3000000000 \n",
        "cpuacct.stat": "user 300\nsystem 200\n", "cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 77\n",
        "memory.usage_in_bytes": "4096\n", "memory.max_usage_in_bytes": "8192\n", "memory.failcnt": "3\n",
        "memory.limit_in_bytes": "9223372036854771712\n", "memory.stat": "cache 1\nrss 2\n",
        "pids.current": "5\n", "pids.max": "max\n",
        "blkio.throttle.io_service_bytes_recursive": "8:0 Read 100\n8:0 Write 200\nTotal 300\n",
        "blkio.throttle.io_serviced_recursive": "",
    })  # fmt: skip
    found = cgroup_usage(dict.fromkeys(("cpu", "cpuacct", "memory", "pids", "blkio"), tmp_path))
    assert (found.version, found.cpu_total, found.cpu_each) == (
        1,
        5_000_000_000,
        [2_000_000_000, 3_000_000_000],
    )
    assert (found.cpu_user, found.cpu_kernel) == (3_000_000_000, 2_000_000_000)
    assert (found.periods, found.throttled_periods, found.throttled_time) == (10, 4, 77)
    assert (found.memory, found.memory_most, found.memory_failures, found.memory_limit) == (4096, 8192, 3, 0)
    assert found.memory_details == {"cache": 1, "rss": 2}
    assert (found.processes, found.processes_limit) == (5, 0)
    assert found.block_bytes == [BlockCount(8, 0, "Read", 100), BlockCount(8, 0, "Write", 200)]


def test_version_2(tmp_path: Path) -> None:
    write(tmp_path, {
        "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 1\nnr_throttled 1\nthrottled_usec 9\n",
        "memory.current": "4096\n", "memory.max": "max\n", "memory.stat": "anon 1\nfile 2\n",
        "memory.events": "low 0\nmax 6\noom 0\n", "pids.current": "5\n", "pids.max": "99\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
    })  # fmt: skip
    found = cgroup_usage({"": tmp_path})
    assert (found.version, found.cpu_total, found.cpu_user, found.cpu_kernel) == (2, 5000, 3000, 2000)
    assert (found.throttled_periods, found.throttled_time) == (1, 9000)
    assert (found.memory, found.memory_limit, found.memory_failures) == (4096, 0, 6)
    assert found.processes_limit == 99
    assert found.block_bytes == [BlockCount(8, 0, "read", 10), BlockCount(8, 0, "write", 20)]


def test_what_is_not_there_counts_as_nothing(tmp_path: Path) -> None:
    found = cgroup_usage({"cpu": tmp_path / "gone"})
    assert (found.version, found.cpu_total, found.memory, found.block_bytes) == (1, 0, 0, [])
