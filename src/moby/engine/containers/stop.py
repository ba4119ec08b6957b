"""This file is about ending containers: stop, kill, restart, and every container at shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal

from moby.core.config import ConfigSource
from moby.core.errors import Conflict, MobyError, NotFound, NotModified, System
from moby.core.runtime import Runtime
from moby.engine.config import EngineConfig
from moby.engine.containers.container import Container
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.signals import parse_signal, sent_signal

log = logging.getLogger(__name__)

_KILL_LIMIT_S = 10.0


class Stopper:
    """Ends containers. A signal that was sent is not taken back by the caller's going away."""

    def __init__(self, shelf: Shelf, runtime: Runtime, config: ConfigSource[EngineConfig]) -> None:
        self._shelf = shelf
        self._runtime = runtime
        self._config = config
        self._shutting_down = False

    async def stop(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        """Ask it to end, and kill it when it does not. Raises NotModified if it does not run."""
        container = self._shelf.find(name)
        if not await _running(container):
            raise NotModified("container is already stopped")
        number = parse_signal(signal_) if signal_ else None
        try:
            await self.end(container, number=number, timeout_s=timeout_s)
        except MobyError as error:
            raise System(f"cannot stop container: {name}: {error.message}") from error

    async def stop_for_restart(
        self, name: str, *, signal_: str = "", timeout_s: int | None = None
    ) -> Container:
        """As `stop`, but it is no error if it does not run."""
        container = self._shelf.find(name)
        number = parse_signal(signal_) if signal_ else None
        await self.end(container, number=number, timeout_s=timeout_s)
        return container

    async def end(
        self, container: Container, *, number: int | None = None, timeout_s: int | None = None
    ) -> None:
        """As `stop`, for a container that may have ended by itself."""
        record = container.record
        if not record.state.running:
            return
        number = number or parse_signal(record.config.stop_signal or "SIGTERM")
        limit = timeout_s
        if limit is None:
            limit = record.config.stop_timeout
        if limit is None:
            limit = self._config.current.default_stop_timeout
        stopped = container.waiter("not-running")
        try:
            await self._signal(container, number)
        except NotFound:
            log.debug("stop signal came too late", extra={"container": container.id})
        if not await _within(stopped, None if limit < 0 else float(limit)):
            log.info(
                "container did not stop in time, killing it",
                extra={"container": container.id, "timeout_s": limit},
            )
            await self.kill_now(container)
        self._shelf.publish(container, "stop")

    async def kill(self, name: str, signal_: str = "") -> None:
        """Send a signal; SIGKILL waits for the end. Raises InvalidParameter, NotFound, Conflict."""
        try:
            await self._kill(name, signal_)
        except MobyError as error:
            raise type(error)(f"cannot kill container: {name}: {error.message}") from error

    async def _kill(self, name: str, signal_: str) -> None:
        number = sent_signal(signal_) if signal_ else int(signal.SIGKILL)
        container = self._shelf.find(name)
        if not await _running(container):
            raise Conflict(f"container {container.id} is not running")
        if number == signal.SIGKILL:
            await self.kill_now(container)
            return
        try:
            await self._signal(container, number)
        except NotFound as error:
            raise Conflict(f"container {container.id} is not running") from error

    async def kill_now(self, container: Container) -> None:
        """SIGKILL, and wait until it is known to have ended. Raises System if it does not end."""
        stopped = container.waiter("not-running")
        try:
            await self._signal(container, int(signal.SIGKILL))
        except NotFound:
            log.debug("kill came too late", extra={"container": container.id})
        if not await _within(stopped, _KILL_LIMIT_S):
            raise System("tried to kill container, but did not receive an exit event")

    async def _signal(self, container: Container, number: int) -> None:
        async with container.lock:
            record = container.record
            if not record.state.running:
                return
            stops = number == signal.SIGKILL or not record.config.stop_signal
            ends = stops or parse_signal(record.config.stop_signal or "SIGTERM") == number
            if ends and not self._shutting_down:
                record.manually_stopped = True
                await self._shelf.save(container)
            if record.state.restarting:
                # There is no process to send it to; not starting again is what was asked for.
                record.state.running = record.state.restarting = False
                await self._shelf.save(container)
                container.tell_stopped()
                return
            await self._runtime.kill(container.id, number)
            if record.state.paused and stops:
                # A frozen process hears no signal; one that has ended meanwhile need not hear it.
                with contextlib.suppress(MobyError):
                    await self._runtime.resume(container.id)
        self._shelf.publish(container, "kill", {"signal": str(number)})

    async def end_all(self) -> None:
        """At shutdown: end every running container, each with its own time limit, all at once."""
        self._shutting_down = True
        limit_s = self._config.current.shutdown_timeout
        running = [container for container in self._shelf.index if container.record.state.running]
        try:
            async with asyncio.timeout(limit_s if limit_s >= 0 else None), asyncio.TaskGroup() as group:
                for container in running:
                    group.create_task(self._end_quietly(container))
        except TimeoutError:
            log.warning("containers did not stop within the shutdown timeout", extra={"timeout_s": limit_s})

    async def _end_quietly(self, container: Container) -> None:
        try:
            await self.end(container)
        except MobyError:
            log.exception("cannot stop container at shutdown", extra={"container": container.id})


async def _running(container: Container) -> bool:
    """Does it run? Of one that is being started: as soon as that is known, its output may be seen before."""
    if not container.record.state.running:
        async with container.lock:
            pass
    return container.record.state.running


async def _within(stopped: asyncio.Future[int], limit_s: float | None) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            await asyncio.shield(stopped)
    except TimeoutError:
        return False
    return True
