"""Logs that a plugin keeps, through the docker command, and over the daemon's death."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.engine import Engine
from tests.sample_plugins import Process

SCRIPT = "echo one; echo two >&2; printf three"


@pytest.fixture
def plugin(engine: Engine, tmp_path: Path) -> Iterator[Process]:
    """A plugin named `keeper`, in a process of its own."""
    with Process("logs", engine.plugins / "keeper.sock", tmp_path / "keeper") as running:
        yield running
        running.feel()
        engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))


def test_a_log_is_kept_and_given_back(engine: Engine, plugin: Process) -> None:
    engine.ok(
        "run", "--name", "talker", "--log-driver", "keeper", "--log-opt", "a=b", "busybox", "sh", "-c", SCRIPT
    )
    found = engine.docker("logs", "talker")
    assert (found.out, found.err) == ("one\nthree\n", "two\n")
    assert engine.ok("logs", "--timestamps", "talker").partition("T")[0].count("-") == 2
    info = plugin.calls("LogDriver.StartLogging")[0]["request"]["Info"]
    assert (info["ContainerName"], info["Config"], info["ContainerImageName"]) == (
        "/talker",
        {"a": "b"},
        "busybox",
    )
    assert engine.ok("inspect", "-f", "{{.HostConfig.LogConfig.Type}}", "talker") == "keeper"
    assert "keeper" in engine.ok("info", "-f", "{{.Plugins.Log}}")
    engine.ok("rm", "talker")
    assert len(plugin.calls("LogDriver.StopLogging")) == 1


def test_a_log_can_be_followed_to_its_end(engine: Engine, plugin: Process) -> None:
    script = "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo last"
    engine.ok("run", "-d", "--name", "talker", "--log-driver", "keeper", "busybox", "sh", "-c", script)
    with engine.spawn("logs", "--follow", "talker") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "first\n"
        engine.ok("exec", "talker", "touch", "/go")
        assert following.stdout.read() == "last\n"


def test_one_that_cannot_read_back_has_a_cache_beside_it(engine: Engine, plugin: Process) -> None:
    plugin.state.mkdir(exist_ok=True)
    (plugin.state / "mute").touch()
    engine.ok("run", "--name", "talker", "--log-driver", "keeper", "busybox", "echo", "hello")
    assert engine.ok("logs", "talker") == "hello"
    off = ("--log-opt", "cache-disabled=true")
    engine.ok("run", "--name", "silent", "--log-driver", "keeper", *off, "busybox", "echo", "hello")
    assert "configured logging driver does not support reading" in engine.fails("logs", "silent")


def test_what_it_does_not_take_is_not_started(engine: Engine, plugin: Process) -> None:
    wrong = ("--log-driver", "keeper", "--log-opt", "wrong=1")
    said = engine.fails("run", "--name", "talker", *wrong, "busybox", "true", code=125)
    assert "failed to initialize logging driver: error creating logger: unknown option wrong" in said
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "talker") == "created"


def test_a_log_goes_on_while_the_daemon_is_away(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    engine = make_engine()
    with Process("logs", engine.plugins / "keeper.sock", tmp_path / "keeper") as plugin:
        script = "for n in 1 2 3 4 5 6 7 8 9; do echo $n; sleep 0.2; done"
        engine.ok("run", "-d", "--name", "talker", "--log-driver", "keeper", "busybox", "sh", "-c", script)
        engine.kill()
        engine.start()
        engine.ok("wait", "talker")
        assert engine.ok("logs", "talker") == "\n".join("123456789")
        engine.ok("rm", "talker")
        assert len(plugin.calls("LogDriver.StopLogging")) == 1
