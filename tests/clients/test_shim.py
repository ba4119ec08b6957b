"""Monitors as containerd's shims: what its other clients see of their containers, and what a crash of one leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.clients.test_faults import until

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd has no monitors")


def ctr(engine: Engine, *arguments: str, code: int = 0) -> str:
    """What containerd's own command prints."""
    socket = engine.root / "exec/containerd/containerd.sock"
    done = subprocess.run(
        ["ctr", "--address", socket, "--namespace", "moby", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == code, f"ctr {' '.join(arguments)}: {done}"
    return done.stdout if code == 0 else done.stderr


def pid_of(engine: Engine, name: str) -> int:
    """A container's first process."""
    return int(engine.ok("inspect", "-f", "{{.State.Pid}}", name))


def monitor_of(engine: Engine, name: str) -> int:
    """The process that runs a container: what it has begun is its child."""
    status = Path(f"/proc/{pid_of(engine, name)}/status").read_text()
    found = re.search(r"^PPid:\t(\d+)$", status, re.MULTILINE)
    assert found is not None
    assert b"moby.monitor.server" in Path(f"/proc/{found[1]}/cmdline").read_bytes()
    return int(found[1])


def gone(path: str, timeout: float = 10) -> None:
    """Waits until a file is no more."""
    deadline = time.monotonic() + timeout
    while Path(path).exists():
        assert time.monotonic() < deadline, f"{path} is still there"
        time.sleep(0.05)


def until_status(engine: Engine, box: str, wanted: str) -> None:
    """Whatever others do to a task is seen."""
    deadline = time.monotonic() + 20
    while (found := engine.ok("inspect", "-f", "{{.State.Status}}", box)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_containerd_sees_a_task_as_any_other(engine: Engine) -> None:
    box = engine.ok("run", "-d", "--memory", "64m", "busybox", "sleep", "600")
    pid = pid_of(engine, box)
    assert re.search(
        rf"^{box} +docker.io/library/busybox:latest ", ctr(engine, "containers", "ls"), re.MULTILINE
    )
    assert re.search(rf"^{box} +{pid} +RUNNING\s*$", ctr(engine, "tasks", "ls"), re.MULTILINE)
    assert re.search(rf"^{pid} ", ctr(engine, "tasks", "ps", box), re.MULTILINE)
    assert ctr(engine, "tasks", "exec", "--exec-id", "one", box, "sh", "-c", "echo out; exit 0") == "out\n"
    ctr(engine, "tasks", "exec", "--exec-id", "two", box, "sh", "-c", "exit 7", code=7)
    ctr(engine, "tasks", "pause", box)
    until_status(engine, box, "paused")
    assert re.search(rf"^{box} +{pid} +PAUSED\s*$", ctr(engine, "tasks", "ls"), re.MULTILINE)
    ctr(engine, "tasks", "resume", box)
    until_status(engine, box, "running")
    assert re.search(r"^pids\.current +1\s*$", ctr(engine, "tasks", "metrics", box), re.MULTILINE)
    ctr(engine, "tasks", "kill", "--signal", "SIGKILL", box)
    assert engine.ok("wait", box) == "137"


def test_containerd_is_told_what_happens(engine: Engine) -> None:
    socket = engine.root / "exec/containerd/containerd.sock"
    with subprocess.Popen(
        ["ctr", "--address", socket, "--namespace", "moby", "events"], stdout=subprocess.PIPE, text=True
    ) as listening:
        assert listening.stdout is not None
        try:
            time.sleep(0.3)
            box = engine.ok("run", "-d", "busybox", "sleep", "600")
            engine.ok("exec", box, "true")
            engine.ok("pause", box)
            engine.ok("unpause", box)
            engine.ok("rm", "-f", box)
            topics: list[str] = []
            while "/tasks/delete" not in topics or topics.count("/tasks/exit") < 2:
                line = listening.stdout.readline()
                if box in line and (found := re.search(r"/tasks/[a-z-]+", line)):
                    topics.append(found[0])
                    if found[0] == "/tasks/exit" and '"exit_status":137' in line:
                        assert json.loads(line[line.index("{") :])["id"] == box
        finally:
            listening.kill()
    # When the command's end is told depends on when it ends.
    in_order = ["create", "start", "exec-added", "exec-started", "paused", "resumed", "delete"]
    assert [topic for topic in topics if topic != "/tasks/exit"] == [f"/tasks/{name}" for name in in_order]


def test_a_killed_monitor_takes_its_container_along(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "box", "-p", "18133:80", "busybox", "sh", "-c", "sleep 600 & sleep 600")
    pid = pid_of(engine, "box")
    with engine.spawn("exec", "box", "sleep", "600") as process:
        time.sleep(0.5)
        os.kill(monitor_of(engine, "box"), signal.SIGKILL)
        until(engine, "box", "Status", "exited")
        assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", "box") == "137"
        process.wait(20)
    gone(f"/proc/{pid}")
    assert not any("sleep" in line for line in engine.leftovers().processes)
    engine.ok("start", "box")
    engine.ok("rm", "-f", "box")
    assert engine.ok("run", "--rm", "-p", "18133:80", "busybox", "echo", "fine") == "fine"
    assert not [mount for mount in engine.leftovers().mounts if "rootfs" in mount]


def test_a_monitor_killed_while_nobody_looks_is_found_out(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "box", "busybox", "sleep", "600")
    engine.ok("run", "-d", "--name", "stays", "busybox", "sleep", "600")
    pid, monitor, containerd = pid_of(engine, "box"), monitor_of(engine, "box"), engine.containerd
    engine.kill()
    os.kill(containerd, signal.SIGKILL)
    os.kill(monitor, signal.SIGKILL)
    engine.start()
    until(engine, "box", "Status", "exited")
    gone(f"/proc/{pid}")
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "stays") == "running"
    assert engine.ok("exec", "stays", "echo", "there") == "there"
    engine.ok("start", "box")
    engine.ok("rm", "-f", "box", "stays")


def test_a_containerd_that_was_killed_finds_its_tasks_again(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    box = engine.ok("run", "-d", "busybox", "sleep", "600")
    pid = pid_of(engine, box)
    os.kill(engine.containerd, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while engine.docker("run", "--rm", "busybox", "true").code != 0:
        assert time.monotonic() < deadline, engine.tail()
        time.sleep(0.2)
    assert re.search(rf"^{box} +{pid} +RUNNING\s*$", ctr(engine, "tasks", "ls"), re.MULTILINE)
    assert ctr(engine, "tasks", "exec", "--exec-id", "one", box, "echo", "out") == "out\n"
    engine.ok("pause", box)
    engine.ok("unpause", box)
    engine.ok("rm", "-f", box)
    assert box not in ctr(engine, "tasks", "ls")


def test_containers_do_not_need_the_fork_server_any_more(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 3; echo bye; exit 4")
    status = Path(f"/proc/{monitor_of(engine, 'box')}/status").read_text()
    server = re.search(r"^PPid:\t(\d+)$", status, re.MULTILINE)
    assert server is not None
    os.kill(int(server[1]), signal.SIGKILL)
    assert engine.ok("exec", "box", "echo", "there") == "there"
    assert engine.ok("run", "--rm", "busybox", "echo", "another") == "another"
    assert engine.ok("wait", "box") == "4"
    assert engine.ok("logs", "box") == "bye"


@pytest.mark.parametrize("runtime", ["io.containerd.moby.v1", "io.containerd.runc.v2", "runc"])
def test_other_shims_and_runtimes_go_on_working(engine: Engine, runtime: str) -> None:
    box = engine.ok("run", "-d", "-i", "--runtime", runtime, "busybox", "cat")
    assert engine.ok("exec", box, "echo", "there") == "there"
    shims = [line for line in engine.leftovers().processes if "containerd-shim-runc-v2" in line]
    assert len(shims) == (runtime == "io.containerd.runc.v2")
    engine.ok("rm", "-f", box)
