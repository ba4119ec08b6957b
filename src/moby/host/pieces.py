"""This file is about a stream's pieces that a thread works on while the next ones come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ParamSpec

from moby.host.threads import Threads, settle

P = ParamSpec("P")

# A thread is given so many bytes at a time: to begin and to hear of its end costs some 50 us.
ENOUGH = 1 << 20


class Pieces:
    """Gives pieces to `take`, in order, in one thread at a time; nothing is copied to bring them together.

    Life: `add` as they come, `run` for what else has to be done in order, then `close`, after which no
    thread works any more. What `take` raises comes out of a later call. At most twice `ENOUGH`, and a piece,
    is kept.
    """

    def __init__(self, threads: Threads, take: Callable[[Sequence[bytes]], None]) -> None:
        self._threads = threads
        self._take = take
        self._waiting: list[bytes] = []
        self._size = 0
        self._step: asyncio.Future[None] | None = None

    async def add(self, data: bytes) -> None:
        """The next piece; waits for the thread if enough has come together."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= ENOUGH:
            await self._settled()
            self._begin()

    async def run(self, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run a function after all that was added has been taken."""
        await self.flush()
        self._step = self._threads.begin(function, *args, **kwargs)
        await self._settled()

    async def flush(self) -> None:
        """All that was added has been taken."""
        await self._settled()
        if self._waiting:
            self._begin()
            await self._settled()

    async def close(self) -> None:
        """Take no more. When cancelled, the thread is waited for first."""
        self._waiting.clear()
        step, self._step = self._step, None
        if step is not None:
            await settle(step)

    def _begin(self) -> None:
        pieces, self._waiting, self._size = self._waiting, [], 0
        self._step = self._threads.begin(self._take, pieces)

    async def _settled(self) -> None:
        if (step := self._step) is not None:
            await settle(step)
            self._step = None
            try:
                step.result()
            except BaseException:
                self._waiting.clear()  # nothing can follow what is missing
                raise
