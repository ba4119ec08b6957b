"""This file is about exec instances as clients use them: made, started, resized, inspected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from moby.core.config import ConfigSource
from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, System
from moby.core.logs import LogInfo
from moby.core.runtime import ProcessRequest, Runtime, Stdio
from moby.core.types.execs import ExecCreateRequest, ExecInspectResponse, ExecProcess, ExecStartRequest
from moby.core.types.requests import Takeover
from moby.core.undo import Undo
from moby.engine.config import EngineConfig
from moby.engine.containers.attach import parse_detach_keys
from moby.engine.containers.shelf import Shelf
from moby.engine.execs.command import container_user, exec_process
from moby.engine.execs.record import (
    Exec,
    ExecRecord,
    ExecShelf,
    check_command,
    check_running,
    connect,
)
from moby.host.cgroups import Moves
from moby.host.watched import process_lives
from moby.logs.framing import frame
from moby.monitor.client import AttachEnd, Monitor, Monitors
from moby.monitor.protocol import AttachOptions, MonitorRequest
from moby.runtime.failures import reason, reworded
from moby.runtime.processes import was_killed

log = logging.getLogger(__name__)

_NOT_EXECUTABLE, _NOT_FOUND, _UNKNOWN = 126, 127, 128
_START_LIMIT_S = 10.0
_END_LIMIT_S = 3.0


class _Client(msgspec.Struct):
    """Who is attached, and how."""

    connection: socket.socket
    options: AttachOptions
    told: bool = False

    def tell(self, words: str) -> None:
        """Why it failed, in the stream; once, and lost if the client has gone."""
        if self.told:
            return
        self.told = True
        data = f"{words}\r\n".encode()
        with contextlib.suppress(OSError):
            self.connection.send(frame("stdout", data) if self.options.multiplexed else data)


class Execs:
    """Runs commands in running containers."""

    def __init__(
        self,
        containers: Shelf,
        execs: ExecShelf,
        runtime: Runtime,
        monitors: Monitors,
        config: ConfigSource[EngineConfig],
        moves: Moves,
    ) -> None:
        self._containers = containers
        self._execs = execs
        self._runtime = runtime
        self._monitors = monitors
        self._config = config
        self._moves = moves

    async def create(self, name: str, request: ExecCreateRequest) -> str:
        """A new instance in a running container; its ID. Raises Conflict, InvalidParameter."""
        check_command(request)
        container = self._containers.find(name)
        check_running(container, name)
        if request.detach_keys:
            _check_detach_keys(request.detach_keys)
        if request.user:
            await container_user(container.record, request.user)
        # It is made only to be started next.
        self._moves.expect()
        made = Exec(ExecRecord(secrets.token_hex(32), container.id, request), container)
        await self._execs.add(made)
        self._publish(made, f"exec_create: {made.words}")
        return made.id

    async def check(self, name: str) -> None:
        """Raises NotFound, and Conflict if its container cannot run it now."""
        found = self._execs.find(name)
        check_running(found.container, found.container.id)

    async def start(self, name: str, request: ExecStartRequest, takeover: Takeover) -> None:
        """Run it. Attached, this returns when the stream has ended, and errors are told in the stream."""
        await self.check(name)
        found = self._execs.find(name)
        if request.detach:
            await self._start(found, request, None)
            return
        asked = found.record.request
        options = AttachOptions(
            stdin=asked.attach_stdin,
            stdout=asked.attach_stdout,
            stderr=asked.attach_stderr,
            multiplexed=not request.tty,
            detach_keys=parse_detach_keys(asked.detach_keys) if asked.tty else b"",
        )
        client = _Client(await takeover(not request.tty), options)
        try:
            await self._start(found, request, client)
        except MobyError as error:
            client.tell(error.message)
            log.info("exec failed", extra={"exec": found.id, "error": error.message})
        finally:
            client.connection.close()

    async def _start(self, found: Exec, request: ExecStartRequest, client: _Client | None) -> None:
        record = found.record
        async with found.lock:
            if record.exit_code is not None:
                raise Conflict(f"exec command {found.id} has already run")
            if record.running:
                raise Conflict(f"exec command {found.id} is already running")
            record.running = True
            # Written ahead: a daemon that dies from here on asks the runtime what has become of it.
            await self._execs.save(found)
            self._publish(found, f"exec_start: {found.words}")
            try:
                attached = await self._run(found, request, client)
            except BaseException as error:
                await asyncio.shield(self._failed(found, error))
                if isinstance(error, MobyError):
                    raise _told(error) from error
                raise
        if attached is not None and await attached is AttachEnd.DETACHED:
            self._publish(found, "exec_detach")

    async def _run(
        self, found: Exec, request: ExecStartRequest, client: _Client | None
    ) -> asyncio.Future[AttachEnd] | None:
        """Run it, the client attached to it before it does anything."""
        async with found.container.gate.shared():
            return await self._run_now(found, request, client)

    async def _run_now(
        self, found: Exec, request: ExecStartRequest, client: _Client | None
    ) -> asyncio.Future[AttachEnd] | None:
        record, asked = found.record, found.record.request
        check_running(found.container, record.container)
        size = request.console_size if request.tty else None
        process = await exec_process(found.container.record, asked, size, self._config)
        if (container := found.container.monitor) is not None and container.runs:
            return await self._run_by_monitor(found, container, process, client)
        async with Undo() as undo:
            monitor, attached = None, None
            # Without a client there is nobody to give the output to; a terminal needs somebody to drain it.
            if client is not None or asked.tty:
                monitor = await self._monitors.spawn(self._monitor_request(found))
                undo.push(monitor.discard)
                found.monitor = monitor
                if client is not None:
                    attached = found.attached = monitor.attachment(client.connection, client.options)
            stdio = monitor.stdio if monitor is not None else Stdio()
            undo.push(self._runtime.processes.delete, record.container, record.id)
            try:
                record.pid = await self._runtime.processes.run(
                    ProcessRequest(record.container, record.id, process, stdio)
                )
            except MobyError as error:
                # The monitor ends the client's connection when it is ended.
                if client is not None:
                    client.tell(error.message)
                raise
            # Had it ended before, nobody would tell us of the end of this.
            check_running(found.container, record.container)
            if monitor is not None:
                connect(found, monitor, self._runtime.processes)
                monitor.running()
            await self._execs.save(found)
            undo.keep()
        found.started.set()
        return attached

    async def _run_by_monitor(
        self, found: Exec, container: Monitor, process: Mapping[str, Any], client: _Client | None
    ) -> asyncio.Future[AttachEnd] | None:
        """As `_run_now`, in a container that its monitor runs: that runs this too."""
        record, attached = found.record, None
        async with Undo() as undo:
            monitor = container.execute(self._monitor_request(found), msgspec.json.encode(process))
            undo.push(monitor.discard)
            found.monitor = monitor
            if client is not None:
                attached = found.attached = monitor.attachment(client.connection, client.options)
            try:
                record.pid = await monitor.go()
            except MobyError as error:
                ended = was_killed(error) or not process_lives(found.container.record.state.pid)
                told = reworded(error, program=record.request.cmd[0])
                if "is paused" in error.message:
                    # By somebody else, or so lately that nobody here knows.
                    told = Conflict(
                        f"Container {record.container} is paused, unpause the container before exec"
                    )
                elif ended and reason(error.message) is None:
                    told = Conflict(f"container {record.container} is not running")
                if client is not None:
                    client.tell(told.message)
                raise told from error
            # Its number is not written down: whoever comes after us asks for it.
            check_running(found.container, record.container)
            undo.keep()
        found.started.set()
        return attached

    def _monitor_request(self, found: Exec) -> MonitorRequest:
        record = found.record
        return MonitorRequest(
            id=record.id,
            directory=str(self._execs.directory(record)),
            tty=record.request.tty,
            stdin=record.request.attach_stdin,
            stdin_once=True,
            log_driver="",
            log_info=LogInfo(record.container, "", ""),
        )

    async def _failed(self, found: Exec, error: BaseException) -> None:
        record = found.record
        record.running, record.pid, found.monitor = False, 0, None
        why = reason(error.message) if isinstance(error, MobyError) else None
        if why is None and isinstance(error, System):
            record.exit_code = _UNKNOWN
        else:
            record.exit_code = _NOT_FOUND if why == "not-found" else _NOT_EXECUTABLE
        await self._execs.save(found)
        found.ended.set()
        found.started.set()

    async def inspect(self, name: str) -> ExecInspectResponse:
        """An instance. Once all its output was delivered, its exit code is waited for."""
        found = self._execs.find(name)
        if found.record.running:
            # What the monitor has said already is heard before the question is answered.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if found.record.running and found.delivered:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_LIMIT_S):
                    await found.ended.wait()
        record, asked = found.record, found.record.request
        return ExecInspectResponse(
            id=record.id,
            running=record.running,
            exit_code=record.exit_code,
            process_config=ExecProcess(
                tty=asked.tty,
                entrypoint=asked.cmd[0],
                arguments=asked.cmd[1:],
                privileged=asked.privileged,
                user=asked.user or found.container.record.config.user,
            ),
            open_stdin=asked.attach_stdin,
            open_stderr=asked.attach_stderr,
            open_stdout=asked.attach_stdout,
            can_remove=found.can_remove,
            container_id=record.container,
            detach_keys=parse_detach_keys(asked.detach_keys) if asked.detach_keys else b"",
            pid=record.pid,
        )

    async def kill(self, name: str) -> None:
        """End it; no error if it does not run."""
        found = self._execs.find(name)
        with contextlib.suppress(NotFound):
            await self._runtime.processes.kill(found.record.container, found.id, int(signal.SIGKILL))

    async def forget(self, name: str) -> None:
        """It is not to be found any more."""
        with contextlib.suppress(NotFound):
            await self._execs.forget(self._execs.find(name))

    async def resize(self, name: str, *, height: int, width: int) -> None:
        """Set its terminal's size in characters, once it runs."""
        await self.check(name)
        found = self._execs.find(name)
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                await found.started.wait()
        except TimeoutError as error:
            raise System("timeout waiting for exec session ready") from error
        if not found.record.pid:
            raise InvalidParameter("exec process is not started")
        await self._runtime.processes.resize(found.record.container, found.id, width=width, height=height)

    def _publish(self, found: Exec, action: str) -> None:
        self._containers.publish(found.container, action, {"execID": found.id})


def _told(error: MobyError) -> MobyError:
    """What keeps a program from running is the request's fault, as docker has it."""
    return InvalidParameter(error.message) if reason(error.message) else error


def _check_detach_keys(text: str) -> None:
    try:
        parse_detach_keys(text)
    except InvalidParameter as error:
        raise InvalidParameter(f"Invalid escape keys ({text}) provided") from error
