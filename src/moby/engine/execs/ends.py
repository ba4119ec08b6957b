"""This file is about exec instances that end, and those that are found again after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping

from moby.core.errors import MobyError, NotFound
from moby.core.runtime import Runtime, Status
from moby.engine.containers.container import Container
from moby.engine.containers.shelf import Shelf
from moby.engine.execs.record import Exec, ExecShelf, connect
from moby.monitor.client import Monitor

log = logging.getLogger(__name__)

_DRAIN_LIMIT_S = 2.0
_KEPT_S = 300.0
_KILLED, _UNKNOWN = 137, 255


class ExecEnds:
    """The one place where an exec instance goes from running to ended."""

    def __init__(self, containers: Shelf, execs: ExecShelf, runtime: Runtime) -> None:
        self._containers = containers
        self._execs = execs
        self._runtime = runtime

    async def exited(self, name: str, exit_status: int) -> None:
        """The runtime, or its monitor, says that one has ended."""
        try:
            found = self._execs.find(name)
        except NotFound:
            return
        await self._end(found, exit_status)

    async def container_ended(self, container: Container) -> None:
        """What ran in it has ended with it, told of or not.

        What is being started right now finds that out by itself, and is not waited for.
        """
        for found in self._execs.of(container.id):
            if found.record.running and not found.lock.locked():
                await self._end(found, _KILLED)

    async def removed(self, container: Container) -> None:
        """Nothing of the runs of a container that is gone is kept."""
        await self._execs.forget_all(container.id)

    async def _end(self, found: Exec, exit_status: int) -> None:
        record = found.record
        async with found.lock:
            if not record.running:
                return
            record.running, record.exit_code = False, exit_status
            await self._execs.save(found)
            found.ended.set()
            await _drained(found)
            attributes = {"execID": record.id, "exitCode": str(exit_status)}
            self._containers.publish(found.container, "exec_die", attributes)
            await self._free(found)

    async def _free(self, found: Exec) -> None:
        record, container = found.record, found.container.monitor
        if container is not None and container.runs:
            container.forget(record.id)
            return
        try:
            await self._runtime.processes.delete(record.container, record.id)
        except MobyError as error:
            log.warning("cannot free an exec process", extra={"exec": record.id, "error": error.message})

    async def at_start(self, monitors: MutableMapping[str, Monitor]) -> None:
        """Take back the instances of an earlier daemon, those that run still with their monitors."""
        await self._execs.load()
        for found in self._execs:
            monitor = monitors.pop(found.id, None)
            if monitor is None:
                continue
            if found.record.running:
                connect(found, monitor, self._runtime.processes)
                # We may have died before we could say so.
                monitor.running()
            else:
                await monitor.discard()
        await self.resynchronise()

    async def resynchronise(self) -> None:
        """Events were missed: ask the runtime for each instance that is thought to run."""
        async with asyncio.TaskGroup() as group:
            for found in self._execs:
                if found.record.running and not found.lock.locked():
                    group.create_task(self._compare(found))

    async def _compare(self, found: Exec) -> None:
        record = found.record
        try:
            state = await self._runtime.processes.state(record.container, record.id)
        except NotFound:
            await self._end(found, _UNKNOWN)
        except MobyError as error:
            log.warning("cannot ask for an exec process", extra={"exec": record.id, "error": error.message})
        else:
            if state.status is Status.STOPPED:
                await self._end(found, state.exit_status)
            elif state.status is Status.CREATED:
                # Made, and never started: whoever would have done that is gone.
                await self._end(found, _UNKNOWN)
            else:
                record.pid = state.pid
                found.started.set()

    async def tidy(self) -> None:
        """Forget instances some minutes after they ended, and those never started; runs until cancelled."""
        while True:
            await asyncio.sleep(_KEPT_S)
            for found in self._execs:
                if found.record.running:
                    continue
                if found.can_remove:
                    await self._execs.forget(found)
                elif found.record.exit_code is not None:
                    found.can_remove = True


async def _drained(found: Exec) -> None:
    """Wait until its output was delivered; a process it left behind is not waited for long."""
    monitor, found.monitor = found.monitor, None
    if monitor is None:
        return
    try:
        async with asyncio.timeout(_DRAIN_LIMIT_S):
            await monitor.finished()
    except TimeoutError:
        await monitor.discard()
