"""The clock jumps, back and forth, and a machine that was off for a quarter of a year: libfaketime turns the clock.

What measures spans of time goes by a clock that never jumps; what is told to people goes by the one that does.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.clients.test_crash_faults import clear, status
from tests.leftovers import clear_faketime

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)

pytestmark = [
    pytest.mark.skipif(KIND != "mobyd", reason="these are promises of ours"),
    pytest.mark.skipif(LIBRARY is None, reason="needs faketime"),
]


class Clock:
    """The daemon's clock, and that of everything it starts: as much as it is told beside the true one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.jump("+0")

    def jump(self, by: str) -> None:
        """`+3600`, `-90d`: seconds, or with a unit; told to processes that run, within a moment."""
        beside = self._path.with_name("next")
        beside.write_text(f"{by}\n")
        beside.rename(self._path)

    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For what is started from now on."""
        assert LIBRARY is not None
        monkeypatch.setenv("LD_PRELOAD", str(LIBRARY))
        monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(self._path))
        monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
        monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        monkeypatch.setenv("DONT_FAKE_MONOTONIC", "1")


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    clear_faketime()
    yield Clock(tmp_path / "clock")
    clear_faketime()


@pytest.fixture
def engine_at(make_engine: Callable[..., Engine], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that goes by that clock; the commands that the test runs do not."""
    engine = make_engine()
    engine.stop()
    with monkeypatch.context() as preloaded:
        clock.environment(preloaded)
        engine.start()
    return engine


def restarted(engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another daemon, by the same clock."""
    with monkeypatch.context() as preloaded:
        clock.environment(preloaded)
        engine.start()


def until(engine: Engine, name: str, wanted: str, limit_s: float = 30) -> None:
    """Waits until inspect says so."""
    deadline = time.monotonic() + limit_s
    while status(engine, name) != wanted:
        assert time.monotonic() < deadline, status(engine, name)
        time.sleep(0.1)


def ticks(engine: Engine, name: str) -> int:
    return len(engine.ok("logs", name).split())


@pytest.mark.parametrize("by", ["+2d", "-2d"])
def test_the_clock_jumps_while_containers_run(engine_at: Engine, clock: Clock, by: str) -> None:
    engine = engine_at
    engine.ok("run", "-d", "--name", "box", "--health-cmd", "true", "--health-interval", "0.3s",
              "busybox", "sh", "-c", "while :; do echo tick; sleep 0.1; done")  # fmt: skip
    engine.ok("run", "-d", "--name", "again", "--restart", "always", "busybox", "sh", "-c", "sleep 1; exit 1")
    with (
        engine.spawn("wait", "box") as waiting,
        engine.spawn("logs", "-f", "--tail", "0", "box") as following,
    ):
        clock.jump(by)
        before = ticks(engine, "box")
        # Everything goes on: logs, health checks, restarts, limits of time.
        deadline = time.monotonic() + 30
        while ticks(engine, "box") <= before + 10:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        checks = int(engine.ok("inspect", "-f", "{{len .State.Health.Log}}", "box"))
        assert checks >= 1
        assert engine.ok("inspect", "-f", "{{.State.Health.Status}}", "box") == "healthy"
        count = int(engine.ok("inspect", "-f", "{{.RestartCount}}", "again"))
        while int(engine.ok("inspect", "-f", "{{.RestartCount}}", "again")) <= count:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert following.stdout is not None
        assert following.stdout.readline() == "tick\n"
        begun = time.monotonic()
        engine.ok("stop", "-t", "1", "box")
        assert time.monotonic() - begun < 20
        assert waiting.wait(20) == 0
    assert engine.ok("run", "--rm", "busybox", "echo", "fine") == "fine"
    assert engine.ok("ps", "-a", "--filter", "name=box", "--format", "{{.Status}}").startswith("Exited (137)")
    # What was said before the jump and after it is all there, in the order in which it was said.
    assert set(engine.ok("logs", "box").split()) == {"tick"}
    clock.jump("+0")
    assert engine.ok("run", "--rm", "busybox", "echo", "fine") == "fine"
    clear(engine)


@pytest.mark.parametrize("by", ["+2d", "-2d"])
def test_the_clock_jumps_while_the_daemon_is_away(
    engine_at: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    engine = engine_at
    engine.ok("run", "-d", "--name", "box", "busybox", "sh", "-c", "while :; do echo tick; sleep 0.1; done")
    engine.ok("run", "-d", "--name", "ends", "busybox", "sh", "-c", "sleep 1; exit 6")
    engine.kill()
    clock.jump(by)
    time.sleep(1.5)
    restarted(engine, clock, monkeypatch)
    assert status(engine, "box") == "running"
    until(engine, "ends", "exited")
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", "ends") == "6"
    before = ticks(engine, "box")
    deadline = time.monotonic() + 30
    while ticks(engine, "box") <= before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # What happened after the jump is told by the clock as it is then.
    since, offset = str(time.time() - 3 * 86400), 2 * 86400 * (1 if by == "+2d" else -1)
    told = engine.ok(
        "events",
        "--since",
        since,
        "--until",
        str(time.time() + offset),
        "--filter",
        "type=container",
        "--format",
        "{{.Action}}",
    )
    assert "die" in told
    clear(engine)


def test_the_machine_is_off_for_90_days(
    make_engine: Callable[..., Engine], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    engine.ok(
        "run", "-d", "--name", "always", "--restart", "always", "-v", "vol:/v", "busybox", "sleep", "600"
    )
    engine.ok("run", "-d", "--name", "never", "busybox", "sleep", "600")
    engine.docker("run", "--name", "done", "busybox", "sh", "-c", "echo text > /file; echo said; exit 3")
    engine.ok("stop", "-t", "0", "never")
    engine.ok("volume", "create", "kept")
    # As with a machine that is switched off: nothing that ran does, and /run is empty.
    engine.docker("kill", "always")
    engine.stop()
    shutil.rmtree(engine.root / "exec")
    clock.jump("+90d")
    restarted(engine, clock, monkeypatch)
    assert engine.ok("ps", "-a", "--filter", "name=done", "--format", "{{.Status}}") in (
        "Exited (3) 3 months ago",
        "Exited (3) 2 months ago",
    )
    assert engine.ok("logs", "done") == "said"
    assert status(engine, "never") == "exited"
    assert set(engine.ok("volume", "ls", "-q").split()) == {"kept", "vol"}
    # Images are kept by more than by leases that end.
    assert engine.ok("run", "--rm", "busybox", "echo", "fine") == "fine"
    engine.ok("start", "done")
    engine.ok("start", "never", "always")
    assert engine.ok("exec", "always", "ls", "-d", "/v") == "/v"
    assert engine.ok("ps", "--filter", "name=always", "--format", "{{.Status}}").startswith("Up ")
    engine.ok("system", "prune", "-f", "--filter", "until=24h")
    assert engine.ok("exec", "always", "echo", "here") == "here"
    clear(engine)
    assert os.path.exists(engine.root)
