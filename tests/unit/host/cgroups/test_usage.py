"""Reading what a control group uses, out of files like the kernel's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from moby.host.cgroups import BlockCount, Readings, cgroup_directories, cgroup_usage, killed_for_memory


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
    found = cgroup_directories(7, root=tmp_path / "cgroup", proc=tmp_path / "proc")
    assert found["cpuacct"] == f"{tmp_path}/cgroup/cpu,cpuacct/docker/abc"
    assert found["memory"] == f"{tmp_path}/cgroup/memory/docker/abc"
    assert found[""] == f"{tmp_path}/cgroup/docker/abc"


@pytest.mark.parametrize("path", ["/docker/abc", "/docker/abc/init.scope", "/docker/abc/a/b"])
def test_a_group_of_ones_own_inside_is_not_the_one_that_is_meant(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"proc/7/cgroup": f"0::{path}\n"})
    found = cgroup_directories(7, "abc", tmp_path / "cgroup", tmp_path / "proc")
    assert found == {"": f"{tmp_path}/cgroup/docker/abc"}


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
    found = cgroup_usage(
        dict.fromkeys(("cpu", "cpuacct", "memory", "pids", "blkio"), str(tmp_path)), Readings()
    )
    assert (found.version, found.cpu_total, found.cpu_each) == (
        1,
        5_000_000_000,
        [2_000_000_000, 3_000_000_000],
    )
    assert (found.cpu_user, found.cpu_kernel) == (3_000_000_000, 2_000_000_000)
    assert (found.periods, found.throttled_periods, found.throttled_time) == (10, 4, 77)
    assert (found.memory, found.memory_most, found.memory_failures) == (4096, 8192, 3)
    assert found.memory_limit == 9223372036854771712
    assert found.memory_details == {"cache": 1, "rss": 2}
    assert (found.processes, found.processes_limit) == (5, 0)
    assert found.block == {
        "io_service_bytes": [BlockCount(8, 0, "Read", 100), BlockCount(8, 0, "Write", 200)],
        "io_serviced": [],
    }


def test_version_1_with_a_scheduler_that_counts(tmp_path: Path) -> None:
    write(tmp_path, {
        "blkio.io_serviced_recursive": "8:0 Read 1\n8:0 Total 1\nTotal 1\n", "blkio.sectors_recursive": "8:0 24\n",
    })  # fmt: skip
    found = cgroup_usage({"blkio": str(tmp_path)}, Readings()).block
    assert found is not None
    assert found["io_serviced"] == [BlockCount(8, 0, "Read", 1), BlockCount(8, 0, "Total", 1)]
    assert found["sectors"] == [BlockCount(8, 0, "", 24)]
    assert found["io_merged"] == []


def test_version_2(tmp_path: Path) -> None:
    write(tmp_path, {
        "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 1\nnr_throttled 1\nthrottled_usec 9\n",
        "memory.current": "4096\n", "memory.max": "max\n", "memory.stat": "anon 1\nfile 2\n",
        "memory.events": "low 0\nmax 9\noom 6\n", "pids.current": "5\n", "pids.max": "99\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
    })  # fmt: skip
    found = cgroup_usage({"": str(tmp_path)}, Readings())
    assert (found.version, found.cpu_total, found.cpu_user, found.cpu_kernel) == (2, 5000, 3000, 2000)
    assert (found.throttled_periods, found.throttled_time) == (1, 9000)
    assert (found.memory, found.memory_limit, found.memory_failures) == (4096, (1 << 64) - 1, 6)
    assert found.processes_limit == 99
    assert found.block == {
        "io_service_bytes": [BlockCount(8, 0, "read", 10), BlockCount(8, 0, "write", 20)],
    }


def test_what_is_not_there_counts_as_nothing(tmp_path: Path) -> None:
    found = cgroup_usage({"cpu": str(tmp_path / "gone")}, Readings())
    assert (found.version, found.cpu_total, found.memory, found.block) == (1, 0, 0, None)


def test_files_that_stay_open_are_read_anew(tmp_path: Path) -> None:
    write(tmp_path, {"count": "1\n", "long": "x" * 50_000})
    with Readings(keep=True) as readings:
        assert readings.text(f"{tmp_path}/count") == "1\n"
        (tmp_path / "count").write_text("2\n")
        assert readings.text(f"{tmp_path}/count") == "2\n"
        assert readings.once(f"{tmp_path}/count") == "2\n"
        assert len(readings.text(f"{tmp_path}/long")) == 50_000
        assert readings.text(f"{tmp_path}/absent") == ""


@pytest.mark.parametrize(
    ("files", "killed"),
    [
        ({"memory/docker/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"}, True),
        ({"memory/docker/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"}, False),
        ({"docker/a/memory.events": "oom 1\noom_kill 2\noom_group_kill 0\n"}, True),
        ({"docker/a/memory.events": "oom 1\noom_kill 0\n"}, False),
        ({}, False),
    ],
)
def test_who_was_killed_for_memory(tmp_path: Path, files: dict[str, str], killed: bool) -> None:
    write(tmp_path, files)
    assert killed_for_memory("/docker/a", tmp_path) is killed
