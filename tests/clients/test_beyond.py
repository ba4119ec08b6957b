"""What Docker's own engine does not do: asked for by labels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import ROOT, Engine
from tests.clients.test_events import past

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd does nothing of this")


def starts(engine: Engine, since: float) -> list[str]:
    """The names of the containers that were started, in order."""
    events = past(engine, since, "type=container", "event=start")
    return [event["Actor"]["Attributes"]["name"] for event in events]


def until(found: Callable[[], bool]) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_after_a_reboot_containers_start_in_the_order_asked_for(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--live-restore=false")
    check = ("--health-cmd", "test -e /tmp/ready", "--health-interval", "100ms", "--health-retries", "100")
    wait = ("busybox", "sh", "-c", "rm -f /tmp/ready; sleep 2; touch /tmp/ready; sleep 600")
    always = ("-d", "--restart", "always", "--stop-timeout", "0")
    engine.ok(
        "run", *always, "--name", "web", "--label", "org.mobyproject.start-after=cache,db:healthy", *wait
    )
    engine.ok("run", *always, "--name", "cache", "--label", "org.mobyproject.start-after=db", *wait)
    engine.ok("run", *always, "--name", "db", *check, *wait)
    project = ("--label", "com.docker.compose.project=shop", "--label")
    depends = "com.docker.compose.depends_on=store:service_started:false"
    engine.ok(
        "run",
        *always,
        "--name",
        "shop-till",
        *project,
        "com.docker.compose.service=till",
        "--label",
        depends,
        *wait,
    )
    engine.ok("run", *always, "--name", "shop-store", *project, "com.docker.compose.service=store", *wait)
    engine.stop()
    since = time.time()
    engine.start()
    until(lambda: len(starts(engine, since)) == 5)
    order = starts(engine, since)
    assert order.index("db") < order.index("cache") < order.index("web")
    assert order.index("shop-store") < order.index("shop-till")
    events = past(engine, since, "type=container")
    seen = [(event["Actor"]["Attributes"]["name"], event["Action"]) for event in events]
    assert seen.index(("db", "health_status: healthy")) < seen.index(("web", "start"))


def test_an_unhealthy_container_is_restarted(engine: Engine) -> None:
    engine.ok(
        "run", "-d", "--name", "sick", "--label", "org.mobyproject.restart=on-unhealthy:2", "--stop-timeout", "0",
        "--health-cmd", "false", "--health-interval", "50ms", "--health-retries", "2", "busybox", "sleep", "600",
    )  # fmt: skip
    until(lambda: engine.ok("inspect", "-f", "{{.RestartCount}}", "sick") == "2")
    until(lambda: engine.ok("inspect", "-f", "{{.State.Health.Status}}", "sick") == "unhealthy")
    # Twice and no more.
    time.sleep(1)
    assert engine.ok("inspect", "-f", "{{.RestartCount}} {{.State.Running}}", "sick") == "2 true"


def test_labels_that_mean_nothing_are_refused(engine: Engine) -> None:
    for label in ("org.mobyproject.restart=sometimes", "org.mobyproject.start-after=a:sick"):
        name, _, value = label.partition("=")
        words = engine.fails("create", "--label", label, "busybox")
        assert f'invalid label {name}: "{value}" is neither' in words


def moby(engine: Engine, *words: str) -> str:
    """What our own command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "moby.cli.moby", *words],
        env=os.environ | {"DOCKER_HOST": engine.address, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_removed_container_can_be_looked_at_for_a_while(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    removed = engine.ok("create", "--name", "gone", "-e", "A=1", "busybox", "true")
    engine.ok("start", "-a", "gone")
    engine.ok("rm", "gone")
    code = engine.docker("run", "--rm", "--name", "other", "busybox", "sh", "-c", "exit 7").code
    assert code == 7
    until(lambda: len(moby(engine, "container", "history").splitlines()) == 3)
    rows = moby(engine, "container", "history").splitlines()
    assert [row.split()[1:4] for row in rows[1:]] == [["other", "busybox", "7"], ["gone", "busybox", "0"]]
    engine.kill()
    engine.start()
    (found,) = json.loads(moby(engine, "container", "history", "--json", removed[:12]))
    assert (found["Id"], found["Name"], found["State"]["Status"]) == (removed, "/gone", "exited")
    assert "A=1" in found["Config"]["Env"]
    assert found["RemovedAt"] > found["State"]["FinishedAt"]
    assert json.loads(moby(engine, "container", "history", "--json", "nobody")) == []
    assert "No such" in engine.fails("inspect", "gone")


def heard(engine: Engine, port: int) -> bytes:
    """What a port of the host says; what listens there begins anew after each client."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with engine.network.connect(port) as connection:
                return connection.recv(10)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_ports_and_labels_of_a_running_container_change(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    serve = ("sh", "-c", "while :; do echo here | nc -l -p 80; done")
    engine.ok("run", "-d", "--name", "web", "-p", "80", "--label", "a=1", "busybox", *serve)
    before = engine.ok("port", "web", "80").splitlines()[0].rpartition(":")[2]
    pid = engine.ok("inspect", "-f", "{{.State.Pid}}", "web")
    moby(
        engine,
        "container",
        "update",
        "web",
        "--publish-add",
        "127.0.0.1:8123:80",
        "--label-add",
        "b=2",
        "--label-rm",
        "a",
    )
    assert heard(engine, 8123) == b"here\n"
    assert heard(engine, int(before)) == b"here\n"
    assert engine.ok("inspect", "-f", "{{json .Config.Labels}}", "web") == '{"b":"2"}'
    assert engine.ok("ps", "-q", "--filter", "label=b=2") != ""
    engine.kill()
    engine.start()
    assert heard(engine, 8123) == b"here\n"
    moby(engine, "container", "update", "web", "--publish-rm", "8123:80")
    with pytest.raises(OSError, match=r"refused|timed out"):
        engine.network.connect(8123)
    assert heard(engine, int(before)) == b"here\n"
    assert engine.ok("inspect", "-f", "{{.State.Pid}}", "web") == pid
    engine.ok("restart", "-t", "0", "web")
    assert "8123" not in engine.ok("port", "web")


def test_a_port_that_is_taken_changes_nothing(engine: Engine) -> None:
    serve = ("busybox", "sh", "-c", "while :; do echo here | nc -l -p 80; done")
    engine.ok("run", "-d", "--name", "one", "-p", "8124:80", *serve)
    engine.ok("run", "-d", "--name", "two", "-p", "8125:80", *serve)
    with engine.client() as client:
        bindings = {"80/tcp": [{"HostPort": "8124"}]}
        answer = client.api._post_json(
            client.api._url("/containers/two/update"), data={"PortBindings": bindings}
        )
        assert answer.status_code == 500
        assert "port is already allocated" in answer.json()["message"]
        answer = client.api._post_json(
            client.api._url("/containers/two/update"), data={"PortBindings": {"x": None}}
        )
        assert (answer.status_code, answer.json()["message"]) == (
            400,
            "invalid JSON: invalid port 'x': invalid syntax",
        )
    assert heard(engine, 8125) == b"here\n"
    assert engine.ok("port", "two").splitlines()[0].endswith(":8125")


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_the_log_of_what_runs_is_emptied(engine: Engine, driver: str) -> None:
    words = ("busybox", "sh", "-c", "seq 1 3000; while read line; do echo $line; done")
    engine.ok("run", "-di", "--name", "talker", "--log-driver", driver, "--log-opt", "max-size=10k",
              "--log-opt", "max-file=3", *words)  # fmt: skip
    until(lambda: engine.ok("logs", "--tail", "1", "talker") == "3000")
    with engine.spawn("logs", "-f", "--tail", "0", "talker") as follower:
        assert moby(engine, "container", "empty-log", "talker") == "talker\n"
        assert engine.ok("logs", "talker") == ""
        with engine.spawn("attach", "--sig-proxy=false", "talker", stdin=subprocess.PIPE) as typist:
            assert typist.stdin is not None
            typist.stdin.write("after\n")
            typist.stdin.flush()
            until(lambda: engine.ok("logs", "talker") == "after")
        assert follower.stdout is not None
        assert follower.stdout.readline() == "after\n"
    engine.ok("stop", "-t", "0", "talker")
    moby(engine, "container", "empty-log", "talker")
    assert engine.ok("logs", "talker") == ""
    engine.ok("start", "talker")
    until(lambda: engine.ok("logs", "--tail", "1", "talker") == "3000")


def test_what_keeps_no_log_has_none_to_empty(engine: Engine) -> None:
    engine.ok("create", "--name", "mute", "--log-driver", "none", "busybox", "true")
    answer = engine.raw(b"DELETE /containers/mute/logs HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 501")
    assert b"does not support emptying" in answer


def test_another_log_driver_counts_from_the_next_start(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "moved", "busybox", "sh", "-c", "cat /proc/uptime; sleep 600")
    until(lambda: engine.ok("logs", "moved") != "")
    first = engine.ok("logs", "moved")
    moby(engine, "container", "update", "moved", "--log-driver", "local", "--log-opt", "max-size=1m")
    assert engine.ok("logs", "moved") == first
    assert engine.ok("inspect", "-f", "{{.HostConfig.LogConfig.Type}}", "moved") == "local"
    engine.ok("restart", "-t", "0", "moved")
    until(lambda: engine.ok("logs", "moved") not in ("", first))
    assert engine.ok("inspect", "-f", "{{.LogPath}}", "moved") == ""
