"""This file is about giving memory back to the system: glibc keeps what is freed, in an arena a thread."""

from __future__ import annotations

import ctypes
from functools import cache

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def few_arenas() -> None:
    """Threads share their arenas; before the first thread. Does nothing with another libc (mallopt(3))."""
    if (mallopt := getattr(_libc(), "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Give back what is free (malloc_trim(3)); takes some milliseconds, in which others may run."""
    if (malloc_trim := getattr(_libc(), "malloc_trim", None)) is not None:
        malloc_trim(0)
