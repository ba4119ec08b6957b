"""This file is about veth pairs of sandboxes that were closed: the kernel takes them with the namespace.

Not if a connection of the sandbox's still waits for its last answer: that keeps the namespace for minutes,
with an address that somebody else may have by then. So a moment later what is still there is deleted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from moby.core.errors import MobyError
from moby.core.networks import Endpoint
from moby.host.threads import Threads
from moby.networks.bridge_device import plug_name, remove_all

log = logging.getLogger(__name__)

_REST_S = 2.0


class Departures:
    """Remembers who has left, and looks after them; on the event loop that `add` is called on."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._left: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def add(self, endpoint: Endpoint) -> None:
        """Its sandbox is being closed."""
        self._left[plug_name(endpoint)] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REST_S, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._task is None:
            names, self._left = tuple(self._left), {}
            self._task = asyncio.get_running_loop().create_task(self._remove(names))
        elif self._left:
            self._timer = asyncio.get_running_loop().call_later(_REST_S, self._due)

    async def _remove(self, names: Iterable[str]) -> None:
        try:
            await self._threads.run(remove_all, names)
        except MobyError:
            log.exception("cannot remove the devices of closed sandboxes")
        finally:
            self._task = None

    async def close(self) -> None:
        """Look after everyone now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._remove(tuple(self._left))
        self._left.clear()
