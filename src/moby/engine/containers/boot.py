"""This file is about what is started when the daemon comes up: which containers, and in which order.

Each is started as soon as those before it are: the ones whose namespaces it joins or that it is linked to,
the services that compose says it depends on, and the containers that a label of ours names.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from moby.core.errors import InvalidParameter, MobyError, NotModified
from moby.engine.containers.container import Container
from moby.engine.containers.index import Index
from moby.engine.containers.joining import donors
from moby.engine.containers.own_labels import AFTER_LABEL
from moby.engine.containers.restarts import Restarts, wants_restart
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.start import Starter

log = logging.getLogger(__name__)

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_DEPENDS_ON = "com.docker.compose.depends_on"
_AT_ONCE = 8
_HEALTH_LIMIT_S = 300.0


def check_after_label(labels: Mapping[str, str]) -> None:
    """Raises InvalidParameter for what the label cannot mean."""
    for word in labels.get(AFTER_LABEL, "").split(","):
        name, colon, condition = word.strip().partition(":")
        if AFTER_LABEL in labels and (not name or (colon and condition != "healthy")):
            raise InvalidParameter(f'invalid label {AFTER_LABEL}: "{word}" is neither NAME nor NAME:healthy')


Services = Mapping[tuple[str, str], Sequence[str]]


def services(index: Index) -> Services:
    """The containers of each of compose's services, by its project and its name."""
    found: dict[tuple[str, str], list[str]] = {}
    for container in index:
        labels = container.record.config.labels or {}
        if _SERVICE in labels:
            found.setdefault((labels.get(_PROJECT, ""), labels[_SERVICE]), []).append(container.id)
    return found


def depends_on(container: Container, index: Index, known: Services) -> Mapping[str, bool]:
    """The containers that it starts after, by ID; and whether they have to be healthy first."""
    labels = container.record.config.labels or {}
    record = container.record
    named = (*donors(record.host_config), *record.links.values())
    found = {index.find(name).id: False for name in named if index.has(name)}
    for word in filter(None, labels.get(AFTER_LABEL, "").split(",")):
        name, _, condition = word.strip().partition(":")
        if index.has(name):
            found[index.find(name).id] = condition == "healthy"
    for word in filter(None, labels.get(_DEPENDS_ON, "").split(",")):
        # SERVICE:CONDITION:RESTART, as compose writes it.
        service, condition = (*word.split(":"), "")[:2]
        for other in known.get((labels.get(_PROJECT, ""), service), ()):
            found[other] = condition == "service_healthy"
    found.pop(container.id, None)
    return found


def in_order(index: Index) -> Sequence[Container]:
    """Every container after those that it depends on; of a circle, one comes first."""
    found: dict[str, Container] = {}
    known = services(index)
    for first in index:
        if first.id in found:
            continue
        path = [(first, iter(depends_on(first, index, known)))]
        seen = {first.id}
        while path:
            container, left = path[-1]
            following = next((one for one in left if one not in found and one not in seen), None)
            if following is None:
                found[container.id] = container
                path.pop()
            elif (other := index.get(following)) is not None:
                seen.add(following)
                path.append((other, iter(depends_on(other, index, known))))
    return list(found.values())


class Boot:
    """Starts containers when the daemon has come up."""

    def __init__(self, shelf: Shelf, starter: Starter, restarts: Restarts) -> None:
        self._shelf = shelf
        self._starter = starter
        self._restarts = restarts
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def at_start(self) -> None:
        """Start what was about to be started again, and what is always to run."""
        begun: dict[str, asyncio.Task[None]] = {}
        known = services(self._shelf.index)
        async with asyncio.TaskGroup() as group:
            for container in in_order(self._shelf.index):
                if container.record.state.restarting or _to_be_started(container):
                    # Only those that have begun are waited for: a circle cannot wait for itself.
                    before = {
                        one: (begun.get(one), healthy)
                        for one, healthy in depends_on(container, self._shelf.index, known).items()
                    }
                    begun[container.id] = group.create_task(self._start(container, before))

    async def _start(
        self, container: Container, before: Mapping[str, tuple[asyncio.Task[None] | None, bool]]
    ) -> None:
        for other, (task, healthy) in before.items():
            if task is not None:
                await asyncio.wait([task])
            if healthy and (found := self._shelf.index.get(other)) is not None:
                await self._healthy(found)
        async with self._slots:
            try:
                if container.record.state.restarting:
                    await self._restarts.again(container)
                elif _to_be_started(container):
                    await self._starter.start(container.id)
            except NotModified:
                log.debug("somebody else has started it", extra={"container": container.id})
            except MobyError:
                log.exception("cannot start container", extra={"container": container.id})

    async def _healthy(self, container: Container) -> None:
        """Wait until its check has come to a result, if it runs and has one."""
        changed = asyncio.Event()

        def watch(one: Container, action: str) -> None:
            if one is container and action.startswith(("health_status", "die", "destroy", "pause")):
                changed.set()

        self._shelf.watchers.append(watch)
        try:
            async with asyncio.timeout(_HEALTH_LIMIT_S):
                while _undecided(container):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            log.warning("a container is waited for no longer", extra={"container": container.id})
        finally:
            self._shelf.watchers.remove(watch)


def _undecided(container: Container) -> bool:
    state, health = container.record.state, container.health
    runs = state.running and not (state.paused or state.restarting)
    return runs and health is not None and health.status == "starting"


def _to_be_started(container: Container) -> bool:
    record = container.record
    name = record.host_config.restart_policy.name
    if record.state.running or not container.ever_started or (record.manually_stopped and name != "always"):
        return False
    return name in ("always", "unless-stopped") or wants_restart(container)
