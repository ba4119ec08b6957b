"""This file is about noticing that somebody else took what our networks need, and having it put back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from moby.host.netlink import Losses, Watch

log = logging.getLogger(__name__)

_REST_S = 0.05


class Guard:
    """Calls `mend` with what was lost, once for what is lost in quick succession; from `open` to `close`."""

    def __init__(self, mend: Callable[[Losses], Awaitable[None]]) -> None:
        self._mend = mend
        self._watch: Watch | None = None
        self._lost: list[Losses] = []
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin; again: nothing happens."""
        if self._watch is not None:
            return
        self._watch = Watch()
        for source in self._watch.sockets:
            asyncio.get_running_loop().add_reader(source, self._readable)

    def close(self) -> None:
        """End; what is under way is dropped."""
        watch, self._watch = self._watch, None
        if watch is not None:
            for source in watch.sockets:
                asyncio.get_running_loop().remove_reader(source)
            watch.close()
        if self._task is not None:
            self._task.cancel()

    def _readable(self) -> None:
        if self._watch is None:
            return
        if lost := self._watch.losses():
            self._lost.append(lost)
        if self._lost and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._lost:
                await asyncio.sleep(_REST_S)
                lost, self._lost = self._lost, []
                await self._mend(_together(lost))
        except Exception:  # the owner of the task: what cannot be mended now may be at the next loss
            log.exception("cannot put back what somebody took from a network")
        finally:
            self._task = None


def _together(lost: list[Losses]) -> Losses:
    return Losses(
        frozenset().union(*(one.links for one in lost)),
        frozenset().union(*(one.addresses for one in lost)),
        frozenset().union(*(one.tables for one in lost)),
        any(one.unknown for one in lost),
    )
