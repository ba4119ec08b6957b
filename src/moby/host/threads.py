"""This file is about blocking work: named, bounded pools of threads beside the event loop.

It is there where there is no event loop as well: asyncio is imported by those who wait.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    import asyncio

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A pool of at most `size` threads; they are made when there is work and end with the process.

    `begins` is what each does first.
    """

    def __init__(self, name: str, size: int, begins: Callable[[], object] | None = None) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name, initializer=begins)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(...)` in a thread. When cancelled, the thread's work still goes on to its end."""
        import asyncio

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    async def finish(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(...)` in a thread. When cancelled, it is waited for first: nothing is left running.

        What it returns or raises is then lost: it has to leave its marks where the caller's undo finds them.
        """
        work = self.begin(function, *args, **kwargs)
        await settle(work)
        return work.result()

    def begin(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """`function(...)` in a thread, begun now."""
        import asyncio

        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Take no more work; what was begun ends."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _nothing() -> None:
    """What the default pool's threads do first, if nobody says otherwise."""


_first: Callable[[], object] = _nothing
_DEFAULT = Threads("blocking", 16, lambda: _first())


def each_first(function: Callable[[], object]) -> None:
    """What each thread of the default pool does first, from now on."""
    global _first
    _first = function


def begin(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """`function(...)` in a thread of the default pool, begun now. Whoever begins it has to `settle` it."""
    return _DEFAULT.begin(function, *args, **kwargs)


async def settle(work: asyncio.Future[T]) -> None:
    """Returns when the work has ended, whatever came of it; when cancelled, also then and not before."""
    import asyncio

    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if not work.cancelled():
        work.exception()
    if cancelled is not None:
        raise cancelled


async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(...)` in a thread of the default pool. When cancelled, its work still goes on to its end."""
    return await _DEFAULT.run(function, *args, **kwargs)


async def finishing(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(...)` in a thread of the default pool, waited for also when cancelled."""
    return await _DEFAULT.finish(function, *args, **kwargs)
