"""This file is about containers that end: noticing it, writing it down, freeing what they held."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from moby.core.config import ConfigSource
from moby.core.errors import MobyError, NotFound
from moby.core.networks import Networks
from moby.core.runtime import Exited, Frozen, OutOfMemory, Resync, Runtime, Status
from moby.engine.config import EngineConfig
from moby.engine.containers.container import Container
from moby.engine.containers.deletions import Deletions
from moby.engine.containers.logs import LogDrivers
from moby.engine.containers.network_events import NetworkEvents, standing
from moby.engine.containers.networking import disconnected
from moby.engine.containers.places import Places
from moby.engine.containers.record import NEVER, timestamp
from moby.engine.containers.shelf import Shelf
from moby.engine.execs.ends import ExecEnds
from moby.host.cgroups import killed_for_memory
from moby.host.threads import blocking
from moby.monitor.client import End, Monitor
from moby.volumes.service import Volumes

log = logging.getLogger(__name__)

_WRITE_AGAIN_S = (0.05, 0.2, 0.5)
_DRAIN_LIMIT_S = 10.0
_SUBSCRIBED_S = 0.5
_KILLED = 128 + signal.SIGKILL

Resynchronise = Callable[[], Awaitable[None]]
AfterExit = Callable[[Container], Coroutine[Any, Any, None]]


class Exits:
    """Watches the runtime's events; the one place where a container goes from running to exited."""

    def __init__(
        self,
        shelf: Shelf,
        runtime: Runtime,
        networks: Networks,
        volumes: Volumes,
        execs: ExecEnds,
        places: Places,
        config: ConfigSource[EngineConfig],
        logs: LogDrivers,
    ) -> None:
        self._logs = logs
        self.deletions = Deletions(runtime)
        self._places = places
        self._config = config
        self._shelf = shelf
        self._runtime = runtime
        self._networks = networks
        self._network_events = NetworkEvents(networks, shelf.bus)
        self._volumes = volumes
        self._execs = execs
        self.starts_again: Callable[[Container], bool] = lambda _: False

    async def watch(self, group: asyncio.TaskGroup, resynchronise: Resynchronise, after: AfterExit) -> None:
        """Handle events until cancelled; `after` runs for each container whose end was written down."""
        async for event in self._runtime.events():
            match event:
                case Resync():
                    await self._compare(group, resynchronise, after)
                    group.create_task(self._again(group, resynchronise, after))
                case Exited() if event.process:
                    group.create_task(self._exec_exited(event.process, event.exit_status))
                case Exited():
                    container = self._shelf.index.get(event.id)
                    if container is not None:
                        group.create_task(self._exited(container, event, after))
                case OutOfMemory():
                    container = self._shelf.index.get(event.id)
                    if container is not None:
                        group.create_task(self._guarded(container, self._out_of_memory(container)))
                case Frozen():
                    container = self._shelf.index.get(event.id)
                    if container is not None:
                        group.create_task(self._guarded(container, self._frozen(container, event.frozen)))

    async def hear(self, group: asyncio.TaskGroup, ends: asyncio.Queue[End], after: AfterExit) -> None:
        """As `watch`, of what monitors say, who run containers themselves: they say it first."""
        while True:
            name, how = await ends.get()
            container = self._shelf.index.get(name)
            if container is None:
                group.create_task(self._exec_exited(name, how.status))
            else:
                event = Exited(name, how.pid, how.status, datetime.fromtimestamp(how.at_ns / 1e9, UTC))
                group.create_task(self._exited(container, event, after))

    async def _compare(
        self, group: asyncio.TaskGroup, resynchronise: Resynchronise, after: AfterExit
    ) -> None:
        await resynchronise()
        for container in self._shelf.index:
            if container.record.state.restarting:
                group.create_task(self._guarded(container, after(container)))

    async def _again(self, group: asyncio.TaskGroup, resynchronise: Resynchronise, after: AfterExit) -> None:
        """A second look: what ended between the first one and the moment of our subscription."""
        await asyncio.sleep(_SUBSCRIBED_S)
        try:
            await self._compare(group, resynchronise, after)
        except MobyError:
            log.warning("cannot compare with the runtime", exc_info=True)

    async def _exited(self, container: Container, event: Exited, after: AfterExit) -> None:
        try:
            async with container.lock:
                if container.record.state.running and container.record.state.pid == event.pid:
                    await self.finish(container, event.exit_status, event.exited_at)
                    ended = True
                else:
                    ended = False
            if ended:
                await after(container)
        except Exception:  # the owner of the task: one container's end must not be everybody's
            log.exception("cannot finish an exited container", extra={"container": container.id})

    async def _guarded(self, container: Container, step: Awaitable[None]) -> None:
        try:
            await step
        except Exception:  # as above
            log.exception("cannot write down what happened", extra={"container": container.id})

    async def _exec_exited(self, name: str, exit_status: int) -> None:
        try:
            await self._execs.exited(name, exit_status)
        except Exception:
            log.exception("cannot finish an exec instance", extra={"exec": name})

    async def _out_of_memory(self, container: Container) -> None:
        async with container.lock:
            state = container.record.state
            if container.removed or (state.oom_killed and not state.running):
                return  # found out when it ended
            state.oom_killed = True
            await self._shelf.save(container)
        self._shelf.publish(container, "oom")

    async def _frozen(self, container: Container, frozen: bool) -> None:
        """Written down, if it was somebody else, or a daemon that has not come to do so."""
        async with container.lock:
            state = container.record.state
            if container.removed or not state.running or state.restarting or state.paused == frozen:
                return
            try:
                now = (await self._runtime.state(container.id)).status
            except MobyError:
                return  # Whoever sees it end says more.
            if now is not (Status.PAUSED if frozen else Status.RUNNING):
                return
            state.paused = frozen
            await self._shelf.save(container)
        self._shelf.publish(container, "pause" if frozen else "unpause")

    async def _killed_for_memory(self, container: Container) -> bool:
        """Was it? The runtime's event may come after the container's end, or while no daemon ran."""
        parent = container.record.host_config.cgroup_parent or self._config.current.cgroup_parent
        return await blocking(killed_for_memory, f"{parent or '/docker'}/{container.id}")

    async def finish(self, container: Container, exit_status: int, exited_at: datetime | None) -> None:
        """Write down the end and free what the container held; the caller holds its lock.

        Whoever waits is told as soon as all output has been delivered and the exit code is on disk; what
        is freed after that is freed under the lock, so that a start or a removal waits for it.
        """
        state = container.record.state
        monitor = await drained(container)
        if exit_status == _KILLED and not state.oom_killed and await self._killed_for_memory(container):
            state.oom_killed = True
            self._shelf.publish(container, "oom")
        started = state.started_at
        state.paused = False
        state.pid = 0
        state.exit_code = exit_status
        state.finished_at = timestamp(exited_at)
        # Decided here, so that nobody finds it neither running nor about to.
        state.running = state.restarting = self.starts_again(container)
        container.record.restart_count += state.restarting
        await self._written(container)
        container.tell_stopped()
        attributes = {"exitCode": str(exit_status), "execDuration": str(_seconds(started, state.finished_at))}
        self._shelf.publish(container, "die", attributes)
        await self.free(container, monitor)
        self._shelf.publish_unmounted(container)
        await self._quietly(container, self._execs.container_ended(container))

    async def _written(self, container: Container) -> None:
        """On disk, if that can be had at all: it has ended whether there is a disk or not.

        A start that finds the record as it was before asks the runtime.
        """
        for pause_s in (*_WRITE_AGAIN_S, None):
            try:
                await self._shelf.save(container)
            except NotFound:
                raise
            except MobyError:
                if pause_s is None:
                    log.exception("cannot write down an end", extra={"container": container.id})
                    return
                await asyncio.sleep(pause_s)
            else:
                return

    async def removed(self, container: Container) -> None:
        """Nothing of its runs is kept."""
        await self._execs.removed(container)

    async def free(self, container: Container, monitor: Monitor | None = None) -> None:
        """Free task, sandbox and mounts of a container that does not run; safe to repeat.

        If it was run by the `monitor`, that frees what it holds.
        """
        if container.freed:
            return
        record = container.record
        async with asyncio.TaskGroup() as group:
            group.create_task(self._quietly(container, self._free_task(container, monitor)))
            group.create_task(self._quietly(container, self._networks.close(container.id)))
        for mount in record.mounts:
            if mount.point.type == "volume":
                await self._quietly(container, self._volumes.unmount(mount.volume, container.id))
        await self._quietly(container, self._places.free(container.id))
        await self._quietly(container, self._logs.end(record))
        left = standing(record)
        disconnected(record)
        container.freed = True
        if not (container.removing or record.host_config.auto_remove):
            # Else it is written down soon, as one that is being removed.
            await self._written(container)
        await self._network_events.disconnected(container.id, left)

    async def _free_task(self, container: Container, monitor: Monitor | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_LIMIT_S):
                if monitor is not None and monitor.runs and await monitor.freed():
                    container.deletion = self.deletions.add(container.id)
                    return
        await self._runtime.delete(container.id)

    async def _quietly(self, container: Container, step: Awaitable[object]) -> None:
        try:
            await step
        except MobyError:
            log.exception("cannot free a part of a container", extra={"container": container.id})


async def drained(container: Container) -> Monitor | None:
    """Wait until the monitor has read, logged and delivered everything, within a limit."""
    monitor, container.monitor = container.monitor, None
    if monitor is None:
        return None
    try:
        async with asyncio.timeout(_DRAIN_LIMIT_S):
            await monitor.finished()
    except TimeoutError:
        log.warning("a process outside still holds the container's output", extra={"container": container.id})
    except MobyError:
        log.exception("the container's monitor is gone", extra={"container": container.id})
    return monitor


def _seconds(started: str, finished: str) -> int:
    if started == NEVER:
        return 0
    span = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    return max(0, int(span.total_seconds()))
