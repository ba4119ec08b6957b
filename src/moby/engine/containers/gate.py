"""This file is about a gate: many may pass at once, or one alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Commands are started in a container side by side, but never while it is being frozen.

    A process that is put into a frozen control group stops half-way, and whoever waits for it with it.
    """

    def __init__(self) -> None:
        self._alone = asyncio.Lock()
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Pass with others; waits for one that is alone, or about to be."""
        async with self._alone:
            self._inside += 1
            self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Pass when nobody else does, and keep everybody out meanwhile."""
        async with self._alone:
            await self._empty.wait()
            yield
