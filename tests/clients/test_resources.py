"""`docker stats`, `docker top`, `docker update`, and the limits that `docker run` sets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from docker.errors import APIError

from tests.clients.engine import Engine


@pytest.fixture
def busy(engine: Engine) -> Iterator[str]:
    """A container that uses a processor, as far as it may."""
    limits = ("--memory", "64m", "--pids-limit", "50", "--cpus", "0.5")
    name = engine.ok("run", "-d", *limits, "busybox", "sh", "-c", "while true; do :; done")
    yield name
    engine.docker("rm", "-f", name)


def limits(engine: Engine, name: str) -> list[str]:
    """Memory, processes and processor time, as the container's control group has them."""
    one = ("memory/memory.limit_in_bytes", "pids/pids.max", "cpu/cpu.cfs_quota_us")
    two = ("memory.max", "pids.max", "cpu.max")
    version = engine.ok("info", "-f", "{{.CgroupVersion}}")
    paths = [f"/sys/fs/cgroup/{path}" for path in (one if version == "1" else two)]
    return engine.ok("exec", name, "cat", *paths).split()[:3]


@pytest.mark.docker28
def test_stats_tell_what_is_used(engine: Engine, busy: str) -> None:
    found = json.loads(engine.ok("stats", "--no-stream", "--format", "json", busy))
    assert 1 < float(found["CPUPerc"].rstrip("%")) < 90
    assert found["MemUsage"].endswith("/ 64MiB")
    assert int(found["PIDs"]) >= 1
    with engine.client() as client:
        container = client.containers.get(busy)
        samples = container.stats(stream=True, decode=True)
        first, second = next(samples), next(samples)
        samples.close()
        assert first["name"].startswith("/")
        assert (
            second["cpu_stats"]["cpu_usage"]["total_usage"] > first["cpu_stats"]["cpu_usage"]["total_usage"]
        )
        assert second["precpu_stats"]["cpu_usage"] == first["cpu_stats"]["cpu_usage"]
        assert second["preread"] == first["read"]
        # How many of them it is throttled in, others on this machine decide.
        assert second["cpu_stats"]["throttling_data"]["periods"] > 0
        assert second["pids_stats"]["limit"] == 50
        assert set(second["networks"]) == {"eth0"}
        one = client.api.stats(busy, stream=False, one_shot=True)
        assert one["precpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_stats_of_what_does_not_run_are_empty(engine: Engine) -> None:
    name = engine.ok("create", "busybox", "true")
    try:
        with engine.client() as client:
            found = client.api.stats(name, stream=False)
        assert (found["id"], found["read"]) == (name, "0001-01-01T00:00:00Z")
        assert engine.ok("stats", "--no-stream", "--all", "--format", "{{.CPUPerc}}", name) == "0.00%"
    finally:
        engine.ok("rm", name)


def test_top_lists_processes_as_ps_does(engine: Engine, busy: str) -> None:
    lines = engine.ok("top", busy).splitlines()
    assert lines[0].split()[:3] == ["UID", "PID", "PPID"]
    assert lines[1].endswith("sh -c while true; do :; done")
    assert engine.ok("top", busy, "-o", "pid,comm").splitlines()[0].split() == ["PID", "COMMAND"]
    assert "Couldn't find PID field in ps output" in engine.fails("top", busy, "-o", "comm")
    assert 'specifying "ppid=PID" is not allowed' in engine.fails("top", busy, "-o ppid=PID")
    engine.ok("kill", busy)
    assert "is not running" in engine.fails("top", busy)


def test_update_changes_what_runs(engine: Engine, busy: str) -> None:
    assert limits(engine, busy)[:2] == [str(64 << 20), "50"]
    options = (
        "--memory",
        "128m",
        "--memory-swap",
        "256m",
        "--pids-limit",
        "99",
        "--cpus",
        "1",
        "--restart",
        "on-failure:3",
    )
    assert engine.ok("update", *options, busy) == busy
    found = limits(engine, busy)
    assert found[:2] == [str(128 << 20), "99"]
    assert found[2] == "100000"
    host = json.loads(engine.ok("inspect", "-f", "{{json .HostConfig}}", busy))
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (128 << 20, 1_000_000_000, 99)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    engine.ok("update", "--pids-limit", "-1", busy)
    assert limits(engine, busy)[1] in ("max", str(1 << 22))


def test_a_quota_of_processors_can_be_lifted(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--cpu-quota", "-1", "busybox", "sleep", "600")
    try:
        assert limits(engine, name)[2] in ("-1", "max")
        engine.ok("update", "--cpu-quota", "20000", name)
        assert limits(engine, name)[2] == "20000"
        engine.ok("update", "--cpu-quota", "-1", "--cpu-shares", "512", name)
        assert limits(engine, name)[2] in ("-1", "max")
        assert (
            engine.ok("inspect", "-f", "{{.HostConfig.CpuQuota}} {{.HostConfig.CpuShares}}", name) == "-1 512"
        )
    finally:
        engine.docker("rm", "-f", name)


def test_update_refuses_and_changes_nothing(engine: Engine, busy: str) -> None:
    before = engine.ok("inspect", "-f", "{{json .HostConfig}}", busy)
    assert "CPU Period cannot be updated as NanoCPUs has already been set" in engine.fails(
        "update", "--cpu-period", "1000", busy
    )
    assert "update the memoryswap at the same time" in engine.fails("update", "--memory", "1g", busy)
    assert engine.fails("update", "--cpuset-cpus", "999", busy) != ""
    with engine.client() as client, pytest.raises(APIError) as error:
        client.api.update_container(busy, mem_limit="1m")
    assert error.value.status_code == 400
    assert engine.ok("inspect", "-f", "{{json .HostConfig}}", busy) == before


def test_update_of_what_does_not_run_counts_from_its_start(engine: Engine) -> None:
    name = engine.ok("create", "busybox", "sleep", "600")
    try:
        engine.ok("update", "--pids-limit", "33", name)
        engine.ok("start", name)
        assert limits(engine, name)[1] == "33"
    finally:
        engine.docker("rm", "-f", name)


def test_update_of_what_is_removed_by_itself_keeps_its_policy(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--rm", "busybox", "sleep", "600")
    assert "AutoRemove is enabled" in engine.fails("update", "--restart", "always", name)
    engine.ok("kill", name)


def test_a_process_that_takes_too_much_memory_is_killed(engine: Engine) -> None:
    since = str(time.time())
    script = "a=x; while true; do a=$a$a; done"
    result = engine.docker(
        "run", "--name", "hungry", "--memory", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", script
    )
    try:
        assert result.code == 137
        assert engine.ok("inspect", "-f", "{{.State.OOMKilled}}", "hungry") == "true"
        events = engine.ok(
            "events",
            "--since",
            since,
            "--until",
            str(time.time()),
            "--filter",
            "container=hungry",
            "--format",
            "{{.Action}}",
        )
        assert "oom" in events.splitlines()
    finally:
        engine.docker("rm", "-f", "hungry")
