"""This file is about tasks that are free already: containerd is told of it while nobody waits."""

from __future__ import annotations

import asyncio
import logging

from moby.core.errors import MobyError
from moby.core.runtime import Runtime

log = logging.getLogger(__name__)

_AT_ONCE = 4


class Deletions:
    """Deletes tasks whose monitors have freed all that they held: nobody has to wait for that.

    A crash leaves a stopped task, which the next start takes for what it is.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._unfinished: dict[str, asyncio.Event] = {}

    def add(self, task: str) -> asyncio.Event:
        """Delete it soon; what is returned is set then."""
        if task not in self._unfinished:
            self._unfinished[task] = asyncio.Event()
            self._waiting.put_nowait(task)
        return self._unfinished[task]

    def __contains__(self, task: object) -> bool:
        return task in self._unfinished

    async def run(self) -> None:
        """Delete until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._go_on())

    async def finish(self) -> None:
        """Delete what is left when nobody runs it any more."""
        async with asyncio.TaskGroup() as group:
            while not self._waiting.empty():
                group.create_task(self._delete(self._waiting.get_nowait()))

    async def _go_on(self) -> None:
        while True:
            await self._delete(await self._waiting.get())

    async def _delete(self, task: str) -> None:
        try:
            await self._runtime.delete(task)
        except MobyError:
            log.exception("cannot delete a task", extra={"container": task})
        except asyncio.CancelledError:
            self._waiting.put_nowait(task)
            raise
        self._unfinished.pop(task).set()
