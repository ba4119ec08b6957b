"""This file is about configuration: one frozen value, replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

Prepare = Callable[[T, T], Callable[[], None]]


class ConfigSource(Generic[T]):
    """Holds the current configuration; an operation takes `current` once and passes it on.

    `replace` works in two phases: every subscriber prepares the change and may refuse it by raising; then
    the value is swapped and every subscriber's commit, which cannot fail, is run.
    """

    def __init__(self, current: T) -> None:
        self._current = current
        self._subscribers: list[Prepare[T]] = []

    @property
    def current(self) -> T:
        """The configuration as of now."""
        return self._current

    def subscribe(self, prepare: Prepare[T]) -> None:
        """`prepare(old, new)` checks a change and returns the function that puts it into effect."""
        self._subscribers.append(prepare)

    def replace(self, new: T) -> None:
        """Put `new` into effect; if anyone refuses, everything stays as it was."""
        commits = [prepare(self._current, new) for prepare in self._subscribers]
        self._current = new
        for commit in commits:
            commit()
