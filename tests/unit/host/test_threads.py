"""Blocking work beside the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from moby.host.threads import Threads, blocking, finishing


async def test_work_runs_in_a_thread_of_its_pool() -> None:
    pool = Threads("mine", 1)
    name = await pool.run(lambda: threading.current_thread().name)
    assert name.startswith("mine")
    pool.close()


async def test_arguments_and_errors_pass_through() -> None:
    assert await blocking(divmod, 7, 3) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        await blocking(divmod, 7, 0)
    with pytest.raises(ZeroDivisionError):
        await finishing(divmod, 7, 0)
    assert await finishing(int, "11", base=2) == 3


async def test_a_pool_does_no_more_at_once_than_it_has_threads() -> None:
    pool = Threads("two", 2)
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if most == 2:
                gate.set()
        gate.wait(10)
        with lock:
            running -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(pool.run(work))
    assert most == 2
    pool.close()


async def test_cancelled_work_is_left_to_its_end() -> None:
    started, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go.wait(10)
        ended.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(blocking(work))
        await blocking(started.wait)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not ended.is_set()
        go.set()
    assert await blocking(ended.wait, 10)


@pytest.mark.parametrize("fails", [False, True])
async def test_finishing_work_is_waited_for_when_cancelled(fails: bool) -> None:
    started, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go.wait(10)
        ended.set()
        if fails:
            raise ValueError("lost, since the caller is gone")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(finishing(work))
        await blocking(started.wait)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        go.set()
        await asyncio.wait([task])
    assert task.cancelled()
    assert ended.is_set()
