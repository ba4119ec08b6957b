"""This file is about kernel work in threads: begun, it is waited for, even when its caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from moby.host.threads import Threads

T = TypeVar("T")


async def to_its_end(threads: Threads, function: Callable[[], T]) -> T:
    """`function()` in a thread. When cancelled, waits for its end and raises CancelledError then.

    So what the caller undoes is not being done any more.
    """
    failure: list[Exception] = []
    result: list[T] = []

    async def run() -> None:
        try:
            result.append(await threads.run(function))
        except Exception as error:  # noqa: BLE001 - this task is ours, its failure the caller's
            failure.append(error)

    cancelled: asyncio.CancelledError | None = None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as again:
                cancelled = again
    if cancelled is not None:
        raise cancelled
    if failure:
        raise failure[0]
    return result[0]
