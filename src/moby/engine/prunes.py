"""This file is about prunes: one of a kind at a time, and told of when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moby.core.errors import Conflict
from moby.core.events import Bus


class Prunes:
    """Those of one kind: containers, images, volumes or networks."""

    def __init__(self, kind: str, bus: Bus) -> None:
        self._kind = kind
        self._bus = bus
        self._running = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """In this block a prune runs. Raises Conflict while another does."""
        if self._running:
            raise Conflict("a prune operation is already running")
        self._running = True
        try:
            yield
        finally:
            self._running = False

    def told(self, reclaimed: int) -> None:
        """It is done, and has freed that many bytes."""
        self._bus.publish(self._kind, "prune", "", {"reclaimed": str(reclaimed)})
