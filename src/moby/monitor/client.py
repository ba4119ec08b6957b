"""This file is about the daemon's side: it asks the fork server for monitors and talks to each of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

from moby.core.errors import Conflict, MobyError, System, Unavailable
from moby.core.runtime import Stdio
from moby.monitor.editions import is_server, socket_name
from moby.monitor.protocol import (
    Attach,
    AttachEnded,
    AttachOptions,
    Begun,
    Delivered,
    Discard,
    Done,
    Ended,
    Execute,
    Failed,
    Finished,
    Forget,
    Freed,
    Go,
    Held,
    Hold,
    Living,
    Message,
    MonitorRequest,
    Names,
    NoLog,
    Ready,
    Release,
    Running,
    Spawn,
    Spawned,
    StdinClosed,
    Stop,
    receive,
    send,
)
from moby.monitor.starting import dial, remove_dead, start_server

log = logging.getLogger(__name__)

_START_LIMIT_S = 60.0


class AttachEnd(StrEnum):
    """How an attachment ended."""

    DETACHED = "detached"
    CLOSED = "closed"
    FINISHED = "finished"


class End(NamedTuple):
    """A container, or one more process in one, has ended; its monitor, which runs it, says so."""

    id: str
    how: Ended


class Monitor:
    """One container's monitor, as the daemon sees it.

    Life: made when the monitor was forked or found again; `running` tells it that the runtime has come;
    `finished` returns when it has read, logged and delivered everything, or died; `freed` when it has also
    freed what its container held.
    """

    def __init__(
        self, connection: socket.socket, ready: Ready, ends: asyncio.Queue[End], directory: Path
    ) -> None:
        self.id = self.container = ready.id
        self._directory = directory
        self.pid = ready.pid
        # Does it run the process itself, and the container's others?
        self.runs = ready.runs
        # Has a client had all there is?
        self.delivered = False
        self._ends = ends
        self._begun: asyncio.Future[int] | None = None
        self.stdio = Stdio(ready.stdin, ready.stdout, ready.stderr, ready.terminal)
        self._stdin_closed: Callable[[], Awaitable[object]] | None = None
        self._stdin_ended = False
        self._connection = connection
        self._attachments: dict[int, asyncio.Future[AttachEnd]] = {}
        self._number = 0
        self._gone = asyncio.Event()
        self._delivered = asyncio.Event()
        self._free: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[object]] = set()
        connection.setblocking(False)
        asyncio.get_running_loop().add_reader(connection, self._readable)

    @property
    def stdin_closed(self) -> Callable[[], Awaitable[object]] | None:
        """Is called once when the clients' input has ended; at once if that was before it was set."""
        return self._stdin_closed

    @stdin_closed.setter
    def stdin_closed(self, closed: Callable[[], Awaitable[object]] | None) -> None:
        self._stdin_closed = closed
        self._close_stdin()

    def running(self) -> None:
        """The runtime has opened the FIFOs."""
        self._send(Running())

    def execute(self, request: MonitorRequest, process: bytes) -> Monitor:
        """A session for one more process of the container that it runs; `go` runs it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._send(Execute(request, process), theirs.fileno())
        ready = Ready(request.id, self.pid, "", "", "", request.tty, runs=True)
        made = Monitor(ours, ready, self._ends, self._directory)
        made.container = self.id
        return made

    async def go(self) -> int:
        """Run the process of a session that `execute` opened; its pid. Raises System, Conflict."""
        self._begun = asyncio.get_running_loop().create_future()
        self._send(Go())
        if self._gone.is_set():
            raise self._stopped()
        return await self._begun

    def _stopped(self) -> Conflict:
        return Conflict(f"container {self.container} is not running")

    def forget(self, process: str) -> None:
        """How one more process has ended is written down."""
        self._send(Forget(process))

    async def attach(self, connection: socket.socket, options: AttachOptions) -> AttachEnd:
        """Hand a client over; returns when its attachment has ended. The caller closes its own socket."""
        return await self.attachment(connection, options)

    def attachment(self, connection: socket.socket, options: AttachOptions) -> asyncio.Future[AttachEnd]:
        """As `attach`, when the client has been handed over: the end that is to come."""
        ended: asyncio.Future[AttachEnd] = asyncio.get_running_loop().create_future()
        if self._gone.is_set():
            ended.set_result(AttachEnd.FINISHED)
            return ended
        self._number += 1
        number = self._number
        self._attachments[number] = ended
        ended.add_done_callback(lambda _: self._attachments.pop(number, None))
        self._send(Attach(number, options), connection.fileno())
        return ended

    @property
    def gone(self) -> bool:
        """Has it delivered everything, or died?"""
        return self._gone.is_set()

    async def finished(self) -> None:
        """Returns when it has read, logged and delivered everything, or is gone."""
        await self._delivered.wait()

    async def freed(self) -> bool:
        """Returns when all that a container of its own held is free; False if it is gone before that."""
        return await asyncio.shield(self._free)

    async def discard(self) -> None:
        """The container did not start: end the monitor."""
        self._send(Discard())
        try:
            async with asyncio.timeout(2.0):
                await self._gone.wait()
        except TimeoutError:
            log.warning("monitor does not end", extra={"container": self.id, "pid": self.pid})

    def _send(self, message: Message, *descriptors: int) -> None:
        try:
            send(self._connection, message, descriptors)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self._end()

    def _readable(self) -> None:
        while not self._gone.is_set():
            try:
                message, _ = receive(self._connection)
            except BlockingIOError:
                return
            except OSError:
                message = None
            match message:
                case AttachEnded(number, how):
                    self.delivered |= how == AttachEnd.FINISHED
                    ended = self._attachments.get(number)
                    if ended is not None and not ended.done():
                        ended.set_result(AttachEnd(how))
                case Begun(pid) if self._begun is not None and not self._begun.done():
                    self._begun.set_result(pid)
                case Failed(words, stopped) if self._begun is not None and not self._begun.done():
                    self._begun.set_exception(self._stopped() if stopped else System(words))
                case Ready():
                    continue
                case Delivered():
                    self._delivered.set()
                case Freed() if not self._free.done():
                    self._free.set_result(True)
                case Ended():
                    self._ends.put_nowait(End(self.id, message))
                case StdinClosed():
                    self._stdin_ended = True
                    self._close_stdin()
                case Finished():
                    self._end()
                case None:
                    # Here, before anybody has another one made that listens in the same place.
                    remove_dead(self._directory / f"{self.id}.sock")
                    self._end()
                case _:
                    log.warning("unexpected message", extra={"container": self.id, "message_": repr(message)})

    def _close_stdin(self) -> None:
        if self._stdin_closed is None or not self._stdin_ended:
            return
        self._stdin_ended = False
        # Held in `_tasks` until it ends: the loop itself keeps only a weak reference.
        task = asyncio.get_running_loop().create_task(self._quietly(self._stdin_closed()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, step: Awaitable[object]) -> None:
        try:
            await step
        except MobyError as error:
            log.debug("cannot close standard input", extra={"container": self.id, "error": str(error)})

    def _end(self) -> None:
        if self._gone.is_set():
            return
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()
        self._gone.set()
        self._delivered.set()
        if not self._free.done():
            self._free.set_result(False)
        if self._begun is not None and not self._begun.done():
            self._begun.set_exception(self._stopped())
        for ended in tuple(self._attachments.values()):
            if not ended.done():
                ended.set_result(AttachEnd.FINISHED)

    def close(self) -> None:
        """Let go of a monitor that lives on."""
        self._end()


class Monitors:
    """The fork server and the monitors of one daemon.

    Life: entering starts the fork server or finds the one that outlived an earlier daemon; leaving lets go
    of both, and they live on unless `stop` was called.
    """

    def __init__(self, directory: Path, drivers: Mapping[str, str]) -> None:
        self._directory = directory
        self._drivers = drivers
        self._name = socket_name(drivers)
        self._connection: socket.socket | None = None
        self._lock = asyncio.Lock()
        self._known: set[Monitor] = set()
        self.ends: asyncio.Queue[End] = asyncio.Queue()
        self._inherited: dict[str, socket.socket] = {}

    async def __aenter__(self) -> Self:
        """Raises Conflict if another daemon uses the directory."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._directory.glob("*.sock"):
            if is_server(path) and path.name != self._name:
                await self._succeed(path)
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        for monitor in self._known:
            monitor.close()
        self._known.clear()
        for inherited in self._inherited.values():
            inherited.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _succeed(self, path: Path) -> None:
        """Take over from a fork server of another edition; it ends with the last of its monitors."""
        connection = self._dial(path.name)
        if connection is None:
            path.unlink(missing_ok=True)
            return
        log.info("a fork server of another edition is left to its monitors", extra={"socket": str(path)})
        with connection:
            try:
                await self._greeted(connection)
                for message in (Held(), Release(), Stop()):
                    send(connection, message)
                    answer, beside = await self._receive(connection)
                    if isinstance(answer, Names):
                        sockets = [socket.socket(fileno=number) for number in beside]
                        self._inherited |= dict(zip(answer.names, sockets, strict=True))
            except (OSError, Unavailable) as error:
                log.warning("a fork server went away", extra={"socket": str(path), "error": str(error)})

    async def _greeted(self, connection: socket.socket) -> None:
        greeting, _ = await self._receive(connection)
        if isinstance(greeting, Failed):
            raise Conflict(f"{self._directory}: {greeting.message}")

    async def _connect(self) -> None:
        if (connection := self._dial(self._name)) is None:
            connection = start_server(self._directory / self._name, self._drivers)
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                await self._greeted(connection)
        except (OSError, Unavailable) as error:
            connection.close()
            hint = f"see {self._directory}/server.log"
            raise Unavailable("the fork server does not come up", hint=hint) from error
        self._connection = connection

    def _dial(self, name: str) -> socket.socket | None:
        try:
            return dial(self._directory / name)
        except OSError:
            return None

    async def _ask(self, message: Message, *descriptors: int) -> tuple[Message, list[int]]:
        async with self._lock:
            for attempt in (1, 2):
                if self._connection is None:
                    await self._connect()
                assert self._connection is not None
                try:
                    send(self._connection, message, descriptors)
                    answer, beside = await self._receive(self._connection)
                except (OSError, Unavailable) as error:
                    self._connection.close()
                    self._connection = None
                    log.warning("the fork server is gone", extra={"error": str(error), "attempt": attempt})
                    continue
                if isinstance(answer, Failed):
                    raise System(answer.message)
                return answer, beside
        raise Unavailable("the fork server does not answer")

    async def _receive(self, connection: socket.socket) -> tuple[Message, list[int]]:
        while True:
            try:
                message, descriptors = receive(connection)
            except BlockingIOError:
                await _readable(connection)
                continue
            except ConnectionError as error:
                # One that ends before it has read all, or has accepted us, is heard of so.
                raise Unavailable("the other side has closed the connection") from error
            if message is None:
                raise Unavailable("the other side has closed the connection")
            return message, descriptors

    async def spawn(self, request: MonitorRequest) -> Monitor:
        """A monitor for one container, ready to be given to a runtime. Raises System.

        Cancelled while the monitor is being made, it ends the monitor.
        """
        async with asyncio.TaskGroup() as group:
            spawning = group.create_task(self._spawn(request))
            try:
                made = await asyncio.shield(spawning)
            except asyncio.CancelledError:
                late = await spawning
                if isinstance(late, Monitor):
                    await late.discard()
                raise
        if isinstance(made, MobyError):
            raise made
        return made

    async def _spawn(self, request: MonitorRequest) -> Monitor | MobyError:
        """The error is an answer here, so that it leaves the group of tasks alone."""
        try:
            answer, descriptors = await self._ask(Spawn(request))
            assert isinstance(answer, Spawned)
            return await self._greet(socket.socket(fileno=descriptors[0]), request.id)
        except MobyError as error:
            return error

    async def _greet(self, connection: socket.socket, container: str) -> Monitor:
        connection.setblocking(False)
        try:
            first, _ = await self._receive(connection)
        except BaseException:
            connection.close()
            raise
        if isinstance(first, NoLog):
            connection.close()
            raise System(
                f"failed to create task for container: failed to initialize logging driver: {first.message}"
            )
        if not isinstance(first, Ready):
            connection.close()
            words = first.message if isinstance(first, Failed) else "unexpected answer"
            raise System(f"cannot start the monitor of {container}: {words}")
        monitor = Monitor(connection, first, self.ends, self._directory)
        self._known = {other for other in self._known if not other._gone.is_set()} | {monitor}
        return monitor

    async def adopt(self) -> Mapping[str, Monitor]:
        """The monitors that live, by container."""
        answer, _ = await self._ask(Living())
        assert isinstance(answer, Names)
        found = {}
        for path in self._directory.glob("*.sock"):
            if is_server(path):
                continue
            connection = self._dial(path.name)
            if connection is None:
                remove_dead(path)
                continue
            with contextlib.suppress(MobyError):
                found[path.stem] = await self._greet(connection, path.stem)
        return found

    async def hold(self, sockets: Mapping[str, socket.socket]) -> None:
        """Have listening sockets kept open over our own death."""
        await self._ask(Hold(list(sockets)), *(found.fileno() for found in sockets.values()))

    async def held(self) -> Mapping[str, socket.socket]:
        """The sockets that an earlier daemon left."""
        answer, descriptors = await self._ask(Held())
        assert isinstance(answer, Names)
        sockets = [socket.socket(fileno=number) for number in descriptors]
        found = self._inherited | dict(zip(answer.names, sockets, strict=True))
        self._inherited = {}
        return found

    async def release(self) -> None:
        """Have the sockets closed."""
        answer, _ = await self._ask(Release())
        assert isinstance(answer, Done)

    async def stop(self) -> None:
        """Have the fork server end when no monitor lives."""
        await self._ask(Stop())


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
