"""Processes that are noticed when they end, whosever children they are."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moby.core.errors import NotFound
from moby.host.process import run
from moby.host.watched import Watched, process_is_stopped, process_lives, start_detached


async def test_many_notice_the_end_of_a_process(tmp_path: Path) -> None:
    pid = start_detached([sys.executable, "-c", "input()"], log=tmp_path / "log")
    watched = Watched(pid)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        waits = [group.create_task(watched.ended()) for _ in range(3)]
        await asyncio.sleep(0)
        waits.pop().cancel()
    assert not watched.alive
    with pytest.raises(NotFound, match=f"no such process: {pid}"):
        Watched(pid)
    watched.kill()
    watched.close()
    watched.close()


async def test_a_deaf_process_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    argv = ["sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 1; done"]
    watched = Watched(start_detached(argv, log=tmp_path / "log"))
    while not ready.exists():
        await asyncio.sleep(0.005)
    begin = time.monotonic()
    await watched.terminate(limit_s=0.1)
    assert time.monotonic() - begin < 5
    assert not watched.alive
    watched.close()


async def test_a_process_of_somebody_else_is_watched(tmp_path: Path) -> None:
    result = await run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"])
    watched = Watched(int(result.out))
    assert watched.alive
    watched.kill(signal.SIGKILL)
    async with asyncio.timeout(10):
        await watched.ended()
    watched.close()


def test_a_detached_process_writes_to_its_log(tmp_path: Path) -> None:
    pid = start_detached(
        ["sh", "-c", "echo $A; echo $$ $(ps -o sid= -p $$) >&2"],
        log=tmp_path / "log",
        env={**os.environ, "A": "b"},
    )
    os.waitpid(pid, 0)
    assert (tmp_path / "log").read_text().split()[:2] == ["b", str(pid)]


def test_a_process_that_has_ended_lives_no_more() -> None:
    assert process_lives(os.getpid())
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not process_lives(child.pid)
    child.wait()
    assert not process_lives(child.pid)
    assert not process_lives(0)


def test_a_stopped_process_lives() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert not process_is_stopped(child.pid)
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        assert process_is_stopped(child.pid)
        assert process_lives(child.pid)
        child.kill()
    assert not process_is_stopped(child.pid)


def test_an_end_is_waited_for_without_a_loop(tmp_path: Path) -> None:
    watched = Watched(start_detached(["sleep", "0.2"], log=tmp_path / "log"))
    assert not watched.ends_within(1)
    assert watched.ends_within(20_000)
    assert not watched.alive
    watched.close()
