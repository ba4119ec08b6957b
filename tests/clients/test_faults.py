"""kill -9 of the daemon and of containerd: what ran runs, what was written is read, what ended is known."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

pytestmark = pytest.mark.skipif(
    KIND != "mobyd", reason="dockerd stops or loses its containers; that is the point"
)

COUNTER = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 11"


def until(engine: Engine, name: str, field: str, wanted: str, timeout: float = 30) -> None:
    """Waits until inspect says so."""
    deadline = time.monotonic() + timeout
    while (found := engine.ok("inspect", "-f", f"{{{{.State.{field}}}}}", name)) != wanted:
        assert time.monotonic() < deadline, f"{field} is {found}, not {wanted}"
        time.sleep(0.1)


def test_containers_outlive_the_daemon_and_no_line_or_code_is_lost(
    make_engine: Callable[..., Engine],
) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "counts", "busybox", "sh", "-c", COUNTER)
    engine.ok("run", "-d", "--name", "ends", "busybox", "sh", "-c", "sleep 1.5; echo bye; exit 7")
    engine.ok("run", "-d", "--name", "stays", "busybox", "sleep", "600")
    pid = engine.ok("inspect", "-f", "{{.State.Pid}}", "stays")
    time.sleep(0.5)
    engine.kill()
    time.sleep(2)
    engine.start()
    assert engine.ok("inspect", "-f", "{{.State.Pid}} {{.State.Status}}", "stays") == f"{pid} running"
    until(engine, "ends", "Status", "exited")
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", "ends") == "7"
    assert engine.ok("logs", "ends") == "bye"
    assert engine.ok("wait", "counts") == "11"
    assert engine.ok("logs", "counts").split("\n") == [f"line {n}" for n in range(1, 401)]
    engine.ok("stop", "-t", "0", "stays")
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", "stays") == "137"


def test_attach_works_again_after_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    script = "while read line; do echo got $line; [ $line != end ] || exit 4; done"
    engine.ok("run", "-d", "-i", "--name", "reader", "busybox", "sh", "-c", script)
    engine.kill()
    engine.start()
    with engine.spawn("attach", "reader", stdin=-1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("one\n")
        process.stdin.flush()
        assert process.stdout.readline() == "got one\n"
        process.stdin.write("end\n")
        process.stdin.flush()
        assert process.wait(20) == 4


def test_an_attached_client_does_not_notice_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "-i", "--name", "echoes", "busybox", "cat")
    with engine.spawn("attach", "--sig-proxy=false", "echoes", stdin=-1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("before\n")
        process.stdin.flush()
        assert process.stdout.readline() == "before\n"
        engine.kill()
        process.stdin.write("during\n")
        process.stdin.flush()
        assert process.stdout.readline() == "during\n"
        engine.start()


def test_a_client_that_calls_while_the_daemon_is_down_waits_for_it(
    make_engine: Callable[..., Engine],
) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "stays", "busybox", "sleep", "600")
    engine.kill()
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(engine.ok("ps", "--format", "{{.Names}}")))
    caller.start()
    time.sleep(0.5)
    assert caller.is_alive(), "the client failed instead of waiting"
    engine.start()
    caller.join(30)
    assert answers == ["stays"]


def test_published_ports_and_addresses_survive_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    server = "while :; do echo hello | nc -l -p 80 > /dev/null; done"
    engine.ok("run", "-d", "--name", "web", "-p", "18100:80", "busybox", "sh", "-c", server)
    engine.kill()
    engine.start()
    address = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web")
    with engine.network.connect(18100) as connection:
        assert connection.recv(100) == b"hello\n"
    other = engine.ok("run", "-d", "busybox", "sleep", "60")
    assert engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", other) != address
    assert "port is already allocated" in engine.fails("run", "-p", "18100:80", "busybox", code=125)


def test_crashes_in_the_middle_of_runs_leave_nothing_half_made(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    for delay in (0.01, 0.03, 0.06, 0.1, 0.15):
        with engine.spawn("run", "-d", "busybox", "sleep", "600"):
            time.sleep(delay)
            engine.kill()
        engine.start()
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force"))
    assert engine.ok("ps", "-aq") == ""
    deadline = time.monotonic() + 10
    while engine.leftovers().links and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not engine.leftovers().links
    assert not [line for line in engine.leftovers().processes if "sleep" in line]
    assert engine.ok("run", "--rm", "busybox", "echo", "fine") == "fine"


def test_containers_outlive_containerd_which_comes_back(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "stays", "busybox", "sleep", "600")
    engine.ok("run", "-d", "--name", "ends", "busybox", "sh", "-c", "sleep 1; exit 6")
    before = engine.containerd
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while engine.docker("run", "--rm", "busybox", "true").code != 0:
        assert time.monotonic() < deadline, engine.tail()
        time.sleep(0.2)
    assert engine.containerd != before
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "stays") == "running"
    until(engine, "ends", "Status", "exited")
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", "ends") == "6"
    engine.ok("rm", "-f", "stays")


def test_a_second_daemon_on_the_same_root_is_refused(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(load=False)
    second = Engine(engine.root, engine.network)
    second.socket, second.address = engine.root / "other.sock", f"unix://{engine.root}/other.sock"
    with pytest.raises(RuntimeError, match="the daemon ended with"):
        second.start()
    assert engine.ok("ps", "-q") == ""


def test_images_and_stopped_containers_survive_a_restart(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.docker("run", "--name", "done", "busybox", "sh", "-c", "echo text > /file; exit 3")
    engine.ok("volume", "create", "kept")
    engine.stop()
    engine.start()
    assert engine.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}").startswith("done Exited (3)")
    assert engine.ok("volume", "ls", "-q") == "kept"
    assert engine.ok("run", "--rm", "busybox", "echo", "there") == "there"


def test_restart_policies_hold_over_a_crash(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "always", "--restart", "always", "busybox", "sh", "-c", "sleep 1")
    engine.ok("run", "-d", "--name", "never", "busybox", "sh", "-c", "sleep 1")
    engine.kill()
    time.sleep(1.5)
    engine.start()
    until(engine, "always", "Status", "running")
    until(engine, "never", "Status", "exited")
