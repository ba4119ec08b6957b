"""This file is about blocking work: named, bounded pools of threads beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A pool of at most `size` threads; they are made when there is work and end with the process."""

    def __init__(self, name: str, size: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(...)` in a thread. When cancelled, the thread's work still goes on to its end."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Take no more work; what was begun ends."""
        self._pool.shutdown(wait=False, cancel_futures=True)


_DEFAULT = Threads("blocking", 16)


async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(...)` in a thread of the default pool."""
    return await _DEFAULT.run(function, *args, **kwargs)
