"""This file is about pipes between the event loop and a thread that packs or unpacks."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, BinaryIO, cast

from moby.host.threads import Threads, settle

if TYPE_CHECKING:
    import asyncio

_SIZE = 1 << 20
_CHUNK = 1 << 18
# A thread waits here for a client, for as long as it likes: it must not be one that others need. What feeds a
# pipe may need threads itself, which would then wait for each other.
_THREADS = Threads("archives", 64)


async def piped(work: Callable[[BinaryIO], object]) -> AsyncGenerator[bytes, None]:
    """What `work` writes to the file that it is given, in a thread, as it comes. Raises what `work` raises.

    When the iteration is ended early, `work` gets BrokenPipeError from its next write, and is waited for.
    """
    reading, writing = _pipe()
    os.set_blocking(reading, False)
    working = _THREADS.begin(_with_file, work, writing, "wb")
    try:
        while data := await _read(reading):
            yield data
    finally:
        os.close(reading)
        await settle(working)
    working.result()


async def fed(work: Callable[[BinaryIO], object], chunks: AsyncIterator[bytes]) -> None:
    """Give `work`, in a thread, a file to read the chunks from. Raises what `work` raises.

    Chunks that `work` does not want are not asked for. When the chunks end with an error, or this is
    cancelled, `work` finds the end of the file, and is waited for.
    """
    reading, writing = _pipe()
    os.set_blocking(writing, False)
    working = _THREADS.begin(_with_file, work, reading, "rb")
    try:
        with contextlib.suppress(BrokenPipeError):
            async for chunk in chunks:
                await _write(writing, chunk)
    finally:
        os.close(writing)
        await settle(working)
    working.result()


def _with_file(work: Callable[[BinaryIO], object], descriptor: int, mode: str) -> None:
    with open(descriptor, mode, buffering=0) as file:
        work(cast("BinaryIO", file))


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _SIZE)
    return reading, writing


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def _read(descriptor: int) -> bytes:
    import asyncio

    loop = asyncio.get_running_loop()
    while True:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            ready = loop.create_future()
            loop.add_reader(descriptor, _wake, ready)
            try:
                await ready
            finally:
                loop.remove_reader(descriptor)


async def _write(descriptor: int, data: bytes) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            ready = loop.create_future()
            loop.add_writer(descriptor, _wake, ready)
            try:
                await ready
            finally:
                loop.remove_writer(descriptor)
