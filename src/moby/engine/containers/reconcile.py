"""This file is about start-up and reconnection: making what is stored and what runs agree again.

The runtime is the truth for what runs, the records for what exists. A container that ended while nobody
watched gets its exit code from the runtime; one that was being removed is removed; a task that no record
knows of is ended.
"""

from __future__ import annotations

import asyncio
import logging
import signal

from moby.core.errors import MobyError, NotFound
from moby.core.networks import Networks
from moby.core.runtime import Runtime, Status, TaskState
from moby.engine.containers.connecting import agree
from moby.engine.containers.container import Container
from moby.engine.containers.exits import Exits
from moby.engine.containers.record import timestamp
from moby.engine.containers.remove import Remover
from moby.engine.containers.shelf import Shelf
from moby.engine.execs.ends import ExecEnds
from moby.monitor.client import Monitor, Monitors
from moby.volumes.service import Volumes

log = logging.getLogger(__name__)

_UNKNOWN_EXIT = 255


class Reconciler:
    """Compares records and tasks, and mends the difference."""

    def __init__(
        self,
        shelf: Shelf,
        runtime: Runtime,
        networks: Networks,
        monitors: Monitors,
        exits: Exits,
        execs: ExecEnds,
        remover: Remover,
        volumes: Volumes,
    ) -> None:
        self._volumes = volumes
        self._shelf = shelf
        self._runtime = runtime
        self._networks = networks
        self._monitors = monitors
        self._exits = exits
        self._execs = execs
        self._remover = remover

    async def at_start(self) -> None:
        """Once, after the records were loaded and before anyone is served."""
        monitors = dict(await self._monitors.adopt())
        tasks = {task.id: task for task in await self._runtime.list()}
        alive = [
            key for key, task in tasks.items() if task.status is not Status.STOPPED and self._wanted(key)
        ]
        for container in self._shelf.index:
            if (monitor := monitors.pop(container.id, None)) is not None:
                self.adopt_monitor(container, monitor)
        await self._execs.at_start(monitors)
        await self._networks.restore(alive)
        for orphan in monitors.values():
            log.warning("ending a monitor of no container", extra={"container": orphan.id})
            await orphan.discard()
        await self._each(tasks)

    async def resynchronise(self) -> None:
        """After the runtime's events were interrupted."""
        await self._each({task.id: task for task in await self._runtime.list()})
        await self._execs.resynchronise()

    def adopt_monitor(self, container: Container, monitor: Monitor) -> None:
        """Take a monitor that outlived us back."""
        container.monitor = monitor
        # We may have died before we could say so.
        monitor.running()
        monitor.stdin_closed = lambda: self._runtime.close_stdin(container.id)

    def _wanted(self, container: str) -> bool:
        found = self._shelf.index.get(container)
        return found is not None and not found.record.removing

    async def _each(self, tasks: dict[str, TaskState]) -> None:
        async with asyncio.TaskGroup() as group:
            for container in self._shelf.index:
                group.create_task(self._guarded(container, tasks.pop(container.id, None)))
            for stray in tasks.values():
                if stray.id not in self._exits.deletions:
                    group.create_task(self._end_stray(stray))

    async def _guarded(self, container: Container, task: TaskState | None) -> None:
        try:
            await self._mend(container, task)
        except MobyError:
            log.exception("cannot reconcile a container", extra={"container": container.id})

    async def _mend(self, container: Container, task: TaskState | None) -> None:
        if container.record.removing:
            if not container.lock.locked():
                await self._end_quickly(task)
                await self._remover.finish(container, volumes=container.record.host_config.auto_remove)
            return
        async with container.lock:
            ended = await self._compare(container, await self._fresh(container, task))
        if ended:
            await self._remover.auto_remove(container)

    async def _fresh(self, container: Container, task: TaskState | None) -> TaskState | None:
        """The list was taken before we had the lock: look again if the two disagree."""
        state = container.record.state
        if task is not None and task.status in (Status.RUNNING, Status.PAUSED):
            seen = (True, task.status is Status.PAUSED, task.pid)
        else:
            seen = (False, False, 0)
        if seen == (state.running, state.paused, state.pid):
            return task
        try:
            return await self._runtime.state(container.id)
        except NotFound:
            return None

    async def _compare(self, container: Container, task: TaskState | None) -> bool:
        """Has it ended while nobody watched? Then that is written down."""
        state = container.record.state
        if task is not None and task.status in (Status.RUNNING, Status.PAUSED):
            paused = task.status is Status.PAUSED
            if not state.running or state.pid != task.pid or state.paused != paused:
                log.info("container runs, taking it back", extra={"container": container.id})
                ran = state.running and not state.restarting
                state.started_at = state.started_at if ran else timestamp()
                state.running, state.paused, state.pid, state.restarting = True, paused, task.pid, False
                await self._shelf.save(container)
            if await agree(container.record, self._networks):
                log.info("container stands elsewhere on its networks", extra={"container": container.id})
                await self._shelf.save(container)
            for mount in container.record.mounts:
                if mount.point.type == "volume":
                    await self._volumes.restore(mount.volume, container.id)
            return False
        if state.running and not state.restarting:
            status, exited_at = (
                (task.exit_status, task.exited_at) if task is not None else (_UNKNOWN_EXIT, None)
            )
            await self._exits.finish(container, status, exited_at)
            return True
        if task is not None or container.record.sandbox_id:
            await self._end_quickly(task)
            await self._exits.free(container)
        return False

    async def _end_quickly(self, task: TaskState | None) -> None:
        if task is None:
            return
        try:
            if task.status is not Status.STOPPED:
                await self._runtime.kill(task.id, int(signal.SIGKILL), everyone=True)
        except NotFound:
            return

    async def _end_stray(self, task: TaskState) -> None:
        log.warning("ending a task of no container", extra={"container": task.id})
        try:
            await self._end_quickly(task)
            await self._runtime.delete(task.id)
        except MobyError:
            log.exception("cannot end a stray task", extra={"container": task.id})
