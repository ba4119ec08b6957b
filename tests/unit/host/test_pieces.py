"""Pieces that a thread takes while the next ones come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from moby.host.pieces import ENOUGH, Pieces
from moby.host.threads import Threads

HALF = ENOUGH // 2
THREADS = Threads("test-pieces", 2)


async def test_small_pieces_are_taken_together_and_in_order() -> None:
    taken: list[list[bytes]] = []
    pieces = Pieces(THREADS, lambda found: taken.append(list(found)))
    for number in range(6):
        await pieces.add(bytes([number]) * HALF)
    await pieces.add(b"rest")
    await pieces.flush()
    assert [len(found) for found in taken] == [2, 2, 2, 1]
    assert [piece[0] for found in taken for piece in found] == [0, 1, 2, 3, 4, 5, ord("r")]
    await pieces.close()


async def test_what_is_run_comes_after_what_was_added() -> None:
    order: list[str] = []
    pieces = Pieces(THREADS, lambda _: order.append("taken"))
    await pieces.add(b"a little")
    assert order == []
    await pieces.run(order.append, "run")
    assert order == ["taken", "run"]


async def test_a_failure_is_told_later_and_nothing_follows_it() -> None:
    taken: list[int] = []

    def take(found: Sequence[bytes]) -> None:
        taken.append(len(found))
        raise OSError(28, "No space left on device")

    pieces = Pieces(THREADS, take)
    await pieces.add(bytes(ENOUGH))
    await pieces.add(b"waiting")
    with pytest.raises(OSError, match="No space"):
        await pieces.flush()
    await pieces.flush()
    await pieces.close()
    assert taken == [1]


async def test_closing_waits_for_the_thread_also_when_cancelled() -> None:
    going, gone = threading.Event(), threading.Event()

    def take(_: Sequence[bytes]) -> None:
        going.wait()
        gone.set()

    pieces = Pieces(THREADS, take)
    await pieces.add(bytes(ENOUGH))
    closing = asyncio.create_task(pieces.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.sleep(0)
    assert not closing.done()
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert gone.is_set()
