"""Children, and processes that are not ours."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moby.core.errors import NotFound, System
from moby.host.process import Watched, check, process_lives, run, start_detached


async def test_a_program_runs_to_its_end() -> None:
    result = await run(["sh", "-c", "cat; echo wrong >&2; exit 3"], stdin=b"said")
    assert (result.code, result.out, result.err) == (3, b"said", b"wrong\n")


async def test_environment_and_directory_are_the_ones_given(tmp_path: Path) -> None:
    result = await run(["/bin/sh", "-c", "echo $A; pwd"], env={"A": "b"}, cwd=tmp_path)
    assert result.out.decode().split() == ["b", str(tmp_path.resolve())]


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(NotFound, match="no such program"):
        await run(["moby-no-such-program"])


async def test_a_program_that_may_not_run(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nothing")
    with pytest.raises(System, match=r"cannot run .*permission denied"):
        await run([str(tmp_path / "x")])


async def test_a_program_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(System, match=r"did not end within 0\.2 s"):
        await run(["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"], limit_s=0.2)
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


async def test_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(["sh", "-c", f"echo $$ > {pid}; exec sleep 60"]))
        while not (pid.exists() and pid.read_text().strip()):
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert not Path("/proc", pid.read_text().strip()).exists()


async def test_check_raises_with_the_last_words() -> None:
    assert await check(["echo", "fine"]) == b"fine\n"
    with pytest.raises(System, match="sh: second"):
        await check(["sh", "-c", "echo first >&2; echo second >&2; exit 1"])
    with pytest.raises(System, match="sh: exit code 4"):
        await check(["sh", "-c", "exit 4"])


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
