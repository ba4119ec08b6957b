"""The life of a container: create, start, stop, kill, wait, restart, rename, remove, and what ps and inspect say of it."""

from __future__ import annotations

import json
import re
import time

from tests.clients.engine import Engine


def state(engine: Engine, name: str, field: str) -> str:
    """One field of a container's state."""
    return engine.ok("inspect", "-f", f"{{{{.State.{field}}}}}", name)


def test_created_then_started_then_exited(engine: Engine) -> None:
    engine.ok("create", "--name", "one", "busybox", "sh", "-c", "exit 3")
    assert state(engine, "one", "Status") == "created"
    assert engine.ok("start", "one") == "one"
    assert engine.ok("wait", "one") == "3"
    assert state(engine, "one", "Status") == "exited"
    assert state(engine, "one", "ExitCode") == "3"


def test_start_attached_gives_output_and_code(engine: Engine) -> None:
    engine.ok("create", "--name", "two", "busybox", "sh", "-c", "echo hello; exit 5")
    result = engine.docker("start", "-a", "two")
    assert (result.code, result.out) == (5, "hello\n")


def test_a_container_runs_again_with_what_it_wrote(engine: Engine) -> None:
    engine.ok("run", "--name", "again", "busybox", "sh", "-c", "echo x >> /file; wc -l < /file")
    engine.ok("start", "-a", "again")
    assert engine.ok("logs", "again").split() == ["1", "2"]


def test_stop_sends_the_signal_then_kills(engine: Engine) -> None:
    script = "trap 'exit 8' TERM; while :; do sleep 0.1; done"
    engine.ok("run", "-d", "--name", "polite", "busybox", "sh", "-c", script)
    time.sleep(0.3)
    engine.ok("stop", "polite")
    assert state(engine, "polite", "ExitCode") == "8"
    engine.ok("run", "-d", "--name", "deaf", "busybox", "sleep", "60")
    began = time.monotonic()
    engine.ok("stop", "-t", "1", "deaf")
    assert 0.9 < time.monotonic() - began < 6
    assert state(engine, "deaf", "ExitCode") == "137"


def test_kill_with_and_without_a_signal(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "killed", "busybox", "sleep", "60")
    assert engine.ok("kill", "killed") == "killed"
    assert engine.ok("wait", "killed") == "137"
    script = "trap 'exit 6' USR1; echo ready; while :; do sleep 0.1; done"
    engine.ok("run", "-d", "--name", "signalled", "busybox", "sh", "-c", script)
    while "ready" not in engine.ok("logs", "signalled"):
        time.sleep(0.05)
    engine.ok("kill", "-s", "USR1", "signalled")
    assert engine.ok("wait", "signalled") == "6"


def test_wait_blocks_until_the_end(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "waited", "busybox", "sh", "-c", "sleep 1; exit 2")
    assert engine.ok("wait", "waited") == "2"


def test_pause_and_unpause(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "paused", "busybox", "sleep", "60")
    engine.ok("pause", "paused")
    assert state(engine, "paused", "Status") == "paused"
    engine.ok("unpause", "paused")
    assert state(engine, "paused", "Status") == "running"


def test_restart_gives_a_new_process(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "restarted", "busybox", "sleep", "60")
    before = state(engine, "restarted", "Pid")
    engine.ok("restart", "-t", "0", "restarted")
    assert state(engine, "restarted", "Pid") not in {before, "0"}


def test_a_renamed_container_answers_to_its_new_name(engine: Engine) -> None:
    engine.ok("create", "--name", "old", "busybox")
    engine.ok("rename", "old", "new")
    assert engine.ok("inspect", "-f", "{{.Name}}", "new") == "/new"
    assert "No such" in engine.fails("inspect", "old")


def test_the_restart_policy_starts_a_failed_container_again(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "failing", "--restart", "on-failure:2", "busybox", "false")
    deadline = time.monotonic() + 20
    while engine.ok("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "failing") != "2 exited":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_remove_refuses_a_running_container_unless_forced(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "busy", "busybox", "sleep", "60")
    said = engine.fails("rm", "busy")
    assert re.search(r"cannot remove (a running )?container", said)
    engine.ok("rm", "-f", "busy")
    assert "No such container: busy" in engine.fails("rm", "busy")


def test_ids_may_be_shortened(engine: Engine) -> None:
    identifier = engine.ok("create", "busybox")
    assert engine.ok("inspect", "-f", "{{.Id}}", identifier[:8]) == identifier


def test_ps_lists_filters_and_formats(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "runs", "--label", "a=b", "busybox", "sleep", "60")
    engine.docker("run", "--name", "ended", "busybox", "sh", "-c", "exit 4")
    assert engine.ok("ps", "--format", "{{.Names}}") == "runs"
    assert engine.ok("ps", "-a", "--format", "{{.Names}}").split() == ["ended", "runs"]
    assert engine.ok("ps", "-a", "-f", "exited=4", "--format", "{{.Names}}") == "ended"
    assert engine.ok("ps", "-f", "label=a=b", "--format", "{{.Names}}") == "runs"
    assert engine.ok("ps", "-a", "-f", "status=exited", "-q", "--no-trunc") == engine.ok(
        "inspect", "-f", "{{.Id}}", "ended"
    )
    assert engine.ok("ps", "--format", "{{.Status}}").startswith("Up ")
    assert engine.ok("ps", "-a", "-n", "1", "--format", "{{.Status}}").startswith("Exited (4)")
    assert engine.ok("ps", "--format", "{{.Image}} {{.Command}}") == 'busybox "sleep 60"'


def test_inspect_holds_what_was_asked_for(engine: Engine) -> None:
    engine.ok(
        "create", "--name", "full", "-e", "K=V", "--label", "l=1", "-w", "/tmp", "--restart", "always",
        "--stop-signal", "USR2", "-p", "127.0.0.1:18099:80", "--cap-add", "SYS_PTRACE", "busybox", "sleep", "1",
    )  # fmt: skip
    (found,) = json.loads(engine.ok("inspect", "full"))
    assert "K=V" in found["Config"]["Env"]
    assert found["Config"]["Labels"] == {"l": "1"}
    assert found["Config"]["WorkingDir"] == "/tmp"
    assert found["Config"]["StopSignal"] == "USR2"
    assert found["Config"]["Cmd"] == ["sleep", "1"]
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert found["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18099"}]}
    assert found["Path"] == "sleep"
    assert found["Args"] == ["1"]
    assert found["State"]["Status"] == "created"
    with engine.client() as client:
        newest = client.api._result(client.api._get(f"{client.api.base_url}/containers/full/json"), json=True)
    assert newest["ImageManifestDescriptor"]["platform"]["os"] == "linux"


def test_events_tell_the_life_of_a_container(engine: Engine) -> None:
    since = str(time.time() - 0.5)
    engine.ok("run", "--rm", "--name", "told", "busybox", "true")
    lines = engine.ok(
        "events",
        "--since",
        since,
        "--until",
        str(time.time() + 1),
        "-f",
        "container=told",
        "--format",
        "{{.Action}}",
    )
    actions = lines.split("\n")
    for action in ("create", "start", "die", "destroy"):
        assert action in actions, actions
    assert actions.index("create") < actions.index("start") < actions.index("die") < actions.index("destroy")


def test_what_is_about_to_start_again_is_never_found_stopped(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--restart", "always", "busybox", "sh", "-c", "sleep 0.2; exit 3")
    try:
        for _ in range(4):
            assert engine.ok("wait", name) == "3"
            words = engine.fails("rm", name)
            assert "cannot remove container" in words
            assert "stop the container before removing or force remove" in words
    finally:
        engine.ok("rm", "-f", name)


def test_a_log_is_attached_to_whole(engine: Engine) -> None:
    with engine.client() as client:
        for _ in range(10):
            name = client.api.create_container("busybox", ["echo", "hello"])["Id"]
            client.api.start(name)
            client.api.wait(name)
            assert client.api.attach(name, stream=False, logs=True) == b"hello\n"
            client.api.remove_container(name)
