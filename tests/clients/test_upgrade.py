"""Another edition of the daemon comes up beside what an earlier one left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd has no assemblies")


def sockets(engine: Engine) -> set[str]:
    """Those of the fork servers."""
    return {path.name for path in (engine.root / "exec" / "monitor").glob("server*.sock")}


def until(found: Callable[[], bool]) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_old_monitors_stay_and_new_ones_know_what_is_new(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    before, after = tmp_path / "before.yml", tmp_path / "after.yml"
    before.write_text("engine: {logs: [json-file]}\n")
    after.write_text("engine: {logs: [json-file, local]}\n")
    engine = make_engine("--assembly", str(before), "--host", "tcp://127.0.0.1:2399")
    script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"
    engine.ok("run", "-d", "--name", "old", "busybox", "sh", "-c", script)
    (first,) = sockets(engine)
    engine.kill()
    engine.arguments[1] = str(after)
    engine.start()
    assert len(sockets(engine)) == 2
    engine.network.connect(2399).close()
    seen = len(engine.ok("logs", "old").split())
    until(lambda: len(engine.ok("logs", "old").split()) > seen + 5)
    assert engine.ok("run", "--rm", "--log-driver", "local", "busybox", "echo", "new") == "new"
    with engine.spawn("attach", "--no-stdin", "old") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline().strip().isdigit()
    lines = engine.ok("logs", "old").split()
    assert lines == [str(number) for number in range(1, len(lines) + 1)]
    engine.ok("rm", "-f", "old")
    until(lambda: first not in sockets(engine))
    assert len(sockets(engine)) == 1
