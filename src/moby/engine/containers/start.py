"""This file is about `docker start`: from a stopped container to a running program."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotModified, System
from moby.core.networks import Networks, Sandbox, SandboxRequest
from moby.core.reference import stored_name
from moby.core.runtime import Runtime, TaskRequest
from moby.core.snapshots import Mount, Snapshotter
from moby.core.undo import Undo
from moby.engine.containers.container import Container
from moby.engine.containers.launch import Launcher, Unprepared
from moby.engine.containers.logs import LogDrivers
from moby.engine.containers.network_events import NetworkEvents, standing
from moby.engine.containers.networking import attachments, connected, disconnected, port_mappings
from moby.engine.containers.record import Record, timestamp
from moby.engine.containers.shelf import Shelf
from moby.engine.together import together
from moby.host.files import translated
from moby.host.threads import blocking
from moby.monitor.client import Monitor, Monitors
from moby.monitor.protocol import MonitorRequest

log = logging.getLogger(__name__)

_NOT_EXECUTABLE, _NOT_FOUND, _UNKNOWN = 126, 127, 128


class Starter:
    """Starts containers."""

    def __init__(
        self,
        shelf: Shelf,
        runtime: Runtime,
        networks: Networks,
        snapshotter: Snapshotter,
        monitors: Monitors,
        launcher: Launcher,
        logs: LogDrivers,
        abandoned: Callable[[Container], Awaitable[None]],
    ) -> None:
        self.shelf = shelf
        self._runtime = runtime
        self._networks = networks
        self._events = NetworkEvents(networks, shelf.bus)
        self._snapshotter = snapshotter
        self._monitors = monitors
        self._launcher = launcher
        self._logs = logs
        self._abandoned = abandoned

    async def start(
        self, name: str, checkpoint_of: Callable[[Container], str] = lambda _: "", *, again: bool = False
    ) -> Container:
        """Run its program, or go on from the checkpoint that is in the directory `checkpoint_of` tells.

        That may block. With `again` it is one that is about to be started again, and is so until it runs.
        Raises NotModified if it runs, or is not about to; on any other error nothing of the try is left.
        """
        container = self.shelf.find(name)
        self._check(container, again=again)
        async with container.lock:
            self._check(container, again=again)
            failure = await self._start(container, checkpoint_of)
        if failure is not None:
            await self._abandoned(container)
            raise failure
        return container

    def _check(self, container: Container, *, again: bool) -> None:
        state = container.record.state
        if state.paused:
            raise Conflict("cannot start a paused container, try unpause instead")
        if again != state.restarting or (state.running and not again):
            raise NotModified("container is already running")
        if container.removing or state.dead:
            raise Conflict("container is marked for removal and cannot be started")

    async def _start(
        self, container: Container, checkpoint_of: Callable[[Container], str]
    ) -> MobyError | None:
        """Why it could not be started, when everything has been undone and the reason is on disk."""
        state = container.record.state
        try:
            async with Undo() as undo:
                started_at = timestamp()
                container.freed = False
                checkpoint = await blocking(checkpoint_of, container)
                monitor = await self._prepare(container, undo, checkpoint)
                state.pid = await self._runtime.start(container.id)
                if checkpoint:
                    # Only now has the shim opened what the monitor reads.
                    monitor.running()
                try:
                    await self._write_down(container, started_at)
                except asyncio.CancelledError:
                    # It runs, and whoever compares it with what is on disk takes it back.
                    undo.keep()
                    raise
                undo.keep()
        except MobyError as error:
            return await self._failed(container, error)
        except OSError as error:
            # Of the host, where nobody expects any: whoever waits for the container has to hear of it too.
            return await self._failed(container, translated(error))
        # Before anybody else has the lock, who may have to tell that it ended.
        self.shelf.publish(container, "start")
        return None

    async def _write_down(self, container: Container, started_at: str) -> None:
        """That it runs. What cannot be written down must not run: on an error all is as it was before."""
        record, state = container.record, container.record.state
        before = copy.copy(state), record.manually_stopped, record.started_before
        state.running, state.restarting, state.paused, state.oom_killed = True, False, False, False
        state.started_at, state.exit_code, state.error = started_at, 0, ""
        record.manually_stopped, record.started_before = False, True
        try:
            await self.shelf.save(container)
        except MobyError:
            record.state, record.manually_stopped, record.started_before = before
            raise

    async def _prepare(self, container: Container, undo: Undo, checkpoint: str) -> Monitor:
        """Everything up to the program's first instruction; its monitor."""
        record = container.record
        if container.deletion is not None:
            await container.deletion.wait()
        undo.push(self._discard, container)
        self._launcher.expect()
        sandbox, rootfs, monitor = await together(
            self._open_sandbox(container, undo), self._rootfs(container), self._spawn_monitor(container)
        )
        spec = await self._launcher.spec(record, sandbox, rootfs, undo)
        self.shelf.publish_mounted(container)
        undo.push(self.shelf.publish_unmounted, container)
        undo.push(self._runtime.delete, container.id)
        await self._runtime.create(
            TaskRequest(
                id=container.id,
                spec=spec,
                rootfs=rootfs,
                stdio=monitor.stdio,
                runtime=record.host_config.runtime,
                snapshot_key=container.id,
                image=stored_name(record.config.image),
                checkpoint=checkpoint,
            )
        )
        if not checkpoint:
            monitor.running()
        await self._launcher.release(record)
        return monitor

    async def _open_sandbox(self, container: Container, undo: Undo) -> Sandbox:
        record = container.record
        mode = record.host_config.network_mode
        if mode == "bridge" and self._launcher.bridgeless:
            record.config.network_disabled = True
        if record.config.network_disabled:
            return Sandbox(container.id, "")
        if mode.startswith("container:"):
            return self._shared_sandbox(mode.partition(":")[2])
        wanted = attachments(record)
        undo.push(self._close_sandbox, record)
        servers = tuple(record.host_config.dns or self._launcher.dns)
        sandbox = await self._networks.open(
            SandboxRequest(
                container.id,
                wanted,
                container_name=record.name,
                dns=servers,
                ports=port_mappings(record.config, record.host_config),
                ndots=self._launcher.has_ndots(record),
                ids=self._launcher.ids(record.host_config),
                owner=self._launcher.joined_users(record),
            )
        )
        connected(record, sandbox)
        await self._events.connected(record)
        return sandbox

    async def _close_sandbox(self, record: Record) -> None:
        left = standing(record)
        await self._networks.close(record.id)
        disconnected(record)
        await self._events.disconnected(record.id, left)

    def _shared_sandbox(self, other: str) -> Sandbox:
        target = self.shelf.find(other)
        if not target.record.state.running:
            raise Conflict(f"cannot join network namespace of a non running container: container {target.id}")
        return Sandbox(target.id, target.record.sandbox_key)

    async def _rootfs(self, container: Container) -> tuple[Mount, ...]:
        return tuple(await self._snapshotter.mounts(container.id))

    async def _spawn_monitor(self, container: Container) -> Monitor:
        record = container.record
        record.kept_log = record.host_config.log_config
        cached = await self._logs.cached(record)
        await self._logs.begin(record)
        monitor = await self._monitors.spawn(
            MonitorRequest(
                id=record.id,
                directory=str(self._launcher.run_directory(record.id)),
                tty=bool(record.config.tty),
                stdin=bool(record.config.open_stdin),
                stdin_once=bool(record.config.stdin_once),
                log_driver=self._logs.written_by(record),
                log_info=self._logs.info(record),
                log_cache=cached,
                shim=self._runtime.monitored_at(record.id, record.host_config.runtime),
            )
        )
        container.monitor = monitor
        monitor.stdin_closed = lambda: self._runtime.close_stdin(record.id)
        for attachment in container.pending:
            if not attachment.monitor.done():
                attachment.monitor.set_result(monitor)
        return monitor

    async def _discard(self, container: Container) -> None:
        monitor, container.monitor = container.monitor, None
        if monitor is not None:
            await monitor.discard()
        await self._logs.end(container.record)

    async def _failed(self, container: Container, error: MobyError) -> MobyError:
        """Write down why it did not start, with the exit code that docker's clients look for."""
        state = container.record.state
        message, code = error.message, _UNKNOWN
        text = "" if isinstance(error, Unprepared) else message.lower()
        if "permission denied" in text or "is a directory" in text:
            code = _NOT_EXECUTABLE
            if "permission denied" not in text:
                message += ": permission denied"
        elif "not a directory" in text:
            code = _NOT_FOUND
            message += (
                ": Are you trying to mount a directory onto a file (or vice-versa)? "
                "Check if the specified host path exists and is the expected type"
            )
        elif "executable file not found" in text or "no such file or directory" in text:
            code = _NOT_FOUND
        state.error, state.exit_code, state.pid = message, code, 0
        state.running = state.restarting = False
        container.freed = True
        try:
            await self.shelf.save(container)
        except MobyError:
            # What is on disk says that it does not run, which is so.
            log.exception(
                "cannot write down why a container did not start", extra={"container": container.id}
            )
        told = error
        if isinstance(error, InvalidParameter) or code != _UNKNOWN:
            told = InvalidParameter(message)
        elif isinstance(error, Conflict):
            # dockerd's status for what goes wrong while it starts a container, a taken port for one.
            told = System(message)
        told.__cause__ = error if told is not error else error.__cause__
        return told
