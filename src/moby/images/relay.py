"""This file is about work in two steps, such as decompressing and writing, that two processors can share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

# What comes together before another thread is told: large enough to be worth it, small enough for a cache.
_ENOUGH = 1 << 19
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="relay")


class _Turns:
    """How many threads are in the first step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._processors = len(os.sched_getaffinity(0))

    @contextmanager
    def one(self) -> Iterator[bool]:
        """In this block there is one more. Is a processor left?"""
        with self._lock:
            self._count += 1
            left = self._count < self._processors
        try:
            yield left
        finally:
            with self._lock:
                self._count -= 1


_TURNS = _Turns()

Spare = Callable[[], AbstractContextManager[bool]]


def turn_of_many() -> AbstractContextManager[bool]:
    """For threads of one process: a block of one that is in the first step. Is a processor left?"""
    return _TURNS.one()


class Relay:
    """Has `use` take pieces in order: in the thread that puts them, or in another if a processor has no work.

    Life: any number of `turn`s with `put` in them, then `join`; `close` in any case. It serves one thread at
    a time. At most two times half a megabyte, and a piece, is kept. `spare` knows of processors.
    """

    def __init__(self, use: Callable[[bytes], None], spare: Spare = turn_of_many) -> None:
        self._use = use
        self._spare = spare
        self._aside = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._work: Future[None] | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Pieces are put in this block. Raises what `use` has raised."""
        with self._spare() as left:
            if not left:
                self.join()
            self._aside = left
            try:
                yield
                self._hand_over()
            finally:
                self._aside = False

    def put(self, piece: bytes) -> None:
        """The next piece."""
        if not self._aside:
            self._use(piece)
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= _ENOUGH:
            self._hand_over()

    def join(self) -> None:
        """Returns when every piece has been used. Raises what `use` has raised."""
        work, self._work = self._work, None
        if work is not None:
            work.result()

    def close(self) -> None:
        """Returns when nobody uses a piece any more."""
        self._pieces.clear()
        work, self._work = self._work, None
        if work is not None:
            work.exception()

    def _hand_over(self) -> None:
        if not self._pieces:
            return
        self.join()
        pieces, self._pieces, self._size = self._pieces, [], 0
        self._work = _THREADS.submit(self._use_all, pieces)

    def _use_all(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._use(piece)
