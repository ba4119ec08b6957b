"""This file is about restarting what has become unhealthy: a policy of our own, asked for by a label.

`org.mobyproject.restart=on-unhealthy` restarts a container whose health check has failed too often, and
`on-unhealthy:5` does that five times at most, until somebody starts it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from moby.core.errors import InvalidParameter, MobyError
from moby.engine.containers.container import Container
from moby.engine.containers.own_labels import RESTART_LABEL
from moby.engine.containers.shelf import Shelf

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 60.0


def most_restarts(labels: Mapping[str, str]) -> int | None:
    """How often an unhealthy container is restarted; None if not at all, -1 without end.

    Raises InvalidParameter for what the label cannot mean.
    """
    text = labels.get(RESTART_LABEL)
    if text is None:
        return None
    policy, colon, count = text.partition(":")
    if policy != "on-unhealthy" or (colon and not (count.isascii() and count.isdigit() and len(count) < 10)):
        raise InvalidParameter(
            f'invalid label {RESTART_LABEL}: "{text}" is neither on-unhealthy nor on-unhealthy:COUNT'
        )
    return int(count) if colon else -1


class UnhealthyRestarts:
    """Restarts unhealthy containers, with a pause that doubles until one has become healthy."""

    def __init__(self, shelf: Shelf, restart: Callable[[str], Awaitable[None]]) -> None:
        self._shelf = shelf
        self._restart = restart
        self._group: asyncio.TaskGroup | None = None
        self._pauses_s: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._busy: set[str] = set()
        shelf.watchers.append(self.changed)

    async def run(self) -> None:
        """Restart until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.Event().wait()

    def changed(self, container: Container, action: str) -> None:
        """Something has happened to a container."""
        if action == "health_status: unhealthy" and container.id not in self._busy:
            most = most_restarts(container.record.config.labels or {})
            if most is not None and self._group is not None and self._counts.get(container.id, 0) != most:
                self._busy.add(container.id)
                self._group.create_task(self._again(container))
        elif action == "health_status: healthy":
            self._pauses_s.pop(container.id, None)
        elif action == "destroy" or (action == "start" and container.id not in self._busy):
            self._pauses_s.pop(container.id, None)
            self._counts.pop(container.id, None)

    async def _again(self, container: Container) -> None:
        pause_s = self._pauses_s.get(container.id, FIRST_PAUSE_S)
        self._pauses_s[container.id] = min(pause_s * 2, LONGEST_PAUSE_S)
        try:
            await asyncio.sleep(pause_s)
            if _unhealthy(container):
                self._counts[container.id] = self._counts.get(container.id, 0) + 1
                log.info("restarting an unhealthy container", extra={"container": container.id})
                await self._restart(container.id)
                async with container.lock:
                    container.record.restart_count += 1
                    await self._shelf.save(container)
        except MobyError:
            log.exception("cannot restart an unhealthy container", extra={"container": container.id})
        finally:
            self._busy.discard(container.id)
        if _unhealthy(container):
            # It has become so while we were busy with it.
            self.changed(container, "health_status: unhealthy")


def _unhealthy(container: Container) -> bool:
    state, health = container.record.state, container.health
    runs = state.running and not (state.paused or state.restarting or container.removing)
    return runs and health is not None and health.status == "unhealthy"
