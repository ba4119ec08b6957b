"""This file is about restart policies: who is started again after it ended, and after how long."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from moby.core.errors import MobyError, NotModified
from moby.engine.containers.container import Container
from moby.engine.containers.record import NEVER
from moby.engine.containers.remove import Remover
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.start import Starter

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 60.0
_STEADY_S = 10.0


class Restarts:
    """Starts containers again, as their policies say, with a pause that doubles while they keep ending."""

    def __init__(self, shelf: Shelf, starter: Starter, remover: Remover) -> None:
        self._shelf = shelf
        self._starter = starter
        self._remover = remover
        self._pauses_s: dict[str, float] = {}
        self._pausing: set[str] = set()
        self.stopping = False

    def starts_again(self, container: Container) -> bool:
        """Is a container that has just ended to be started again?"""
        return not self.stopping and not container.removing and wants_restart(container)

    async def after_exit(self, container: Container) -> None:
        """What its end leads to: another start, its removal, or nothing."""
        if not container.record.state.restarting:
            self._pauses_s.pop(container.id, None)
            await self._remover.auto_remove(container)
        elif container.id not in self._pausing:
            self._pausing.add(container.id)
            try:
                await asyncio.sleep(self._pause(container))
            finally:
                self._pausing.discard(container.id)
            await self.again(container)

    async def again(self, container: Container) -> None:
        """Start one that waits for it, unless somebody has stopped it meanwhile."""
        if container.record.manually_stopped or container.removing or self.stopping:
            await self._given_up(container)
            return
        try:
            await self._starter.start(container.id, again=True)
        except NotModified:
            log.debug("somebody else has decided", extra={"container": container.id})
        except MobyError:
            log.exception("cannot start container again", extra={"container": container.id})
            container.tell_stopped()

    async def _given_up(self, container: Container) -> None:
        async with container.lock:
            state = container.record.state
            if not state.restarting:
                return
            state.running = state.restarting = False
            await self._shelf.save(container)
        container.tell_stopped()

    def _pause(self, container: Container) -> float:
        state = container.record.state
        lived_s = 0.0
        if NEVER not in (state.started_at, state.finished_at):
            span = datetime.fromisoformat(state.finished_at) - datetime.fromisoformat(state.started_at)
            lived_s = span.total_seconds()
        before = 0.0 if lived_s > _STEADY_S else self._pauses_s.get(container.id, 0.0)
        pause_s = min(LONGEST_PAUSE_S, before * 2) or FIRST_PAUSE_S
        self._pauses_s[container.id] = pause_s
        return pause_s


def wants_restart(container: Container) -> bool:
    """Does its policy ask for a start now that it has ended?"""
    record = container.record
    policy = record.host_config.restart_policy
    if record.manually_stopped:
        return False
    match policy.name:
        case "always" | "unless-stopped":
            return True
        case "on-failure":
            left = not policy.maximum_retry_count or record.restart_count < policy.maximum_retry_count
            return record.state.exit_code != 0 and left
        case _:
            return False
