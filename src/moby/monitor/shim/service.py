"""This file is about what containerd asks of a shim: the service `containerd.task.v2.Task`."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, NotImplemented
from moby.core.snapshots import Mount
from moby.monitor.loop import BROKEN, IN, OUT, Later, Loop, begin, report
from moby.monitor.protocol import bind_only_to_owner
from moby.monitor.shim.memory import groups_of, processes_in
from moby.monitor.shim.metrics import metrics
from moby.monitor.shim.named_streams import NamedStreams
from moby.monitor.shim.pipes import Console
from moby.monitor.shim.process import Process
from moby.monitor.shim.protobuf import Fields, any_message, message, timestamp
from moby.monitor.shim.task import Task
from moby.monitor.shim.ttrpc import (
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    NOT_FOUND,
    UNIMPLEMENTED,
    UNKNOWN,
    Frames,
    Request,
    failure,
    response,
)

_SERVICE = "containerd.task.v2.Task"
_CREATED, _RUNNING, _STOPPED, _PAUSED = 1, 2, 3, 4
_STATUSES = {"created": _CREATED, "running": _RUNNING, "stopped": _STOPPED, "paused": _PAUSED}
_CODES: Mapping[type[MobyError], int] = {
    NotFound: NOT_FOUND,
    Conflict: FAILED_PRECONDITION,
    InvalidParameter: INVALID_ARGUMENT,
    NotImplemented: UNIMPLEMENTED,
}
# containerd.runc.v1.CheckpointOptions, and runc(8)'s words for its truths.
_EXIT, _EMPTY_NAMESPACES, _CGROUPS_MODE = 1, 6, 7
_CHECKPOINT_WORDS = {2: "--tcp-established", 3: "--ext-unix-sk", 4: "--shell-job", 5: "--file-locks"}
_LOOK_S = 5.0
_DEFAULT_RUNTIME, _DEFAULT_ROOT = "runc", "/run/containerd/runc"

Method = Callable[[Fields], Awaitable[bytes]]


def called_by_containerd(path: str) -> socket.socket:
    """The socket at which containerd calls. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    bind_only_to_owner(listener, path)
    return listener


class TaskService:
    """Serves containerd, which comes back after it was started again.

    A call that has to wait lets others go on; answers come in the order in which they are known.
    """

    def __init__(self, loop: Loop, task: Task, listener: socket.socket, path: str) -> None:
        self._loop = loop
        self._task = task
        self._path = path
        self._connections: set[Connection] = set()
        self._listener = listener
        loop.watch(listener.fileno(), IN, lambda _: self._called())
        task.finished = self._finished
        self._methods: Mapping[str, Method] = {
            "Create": self._create,
            "Start": self._start,
            "Delete": self._delete,
            "State": self._state,
            "Pids": self._pids,
            "Pause": self._pause,
            "Resume": self._resume,
            "Kill": self._kill,
            "Exec": self._exec,
            "ResizePty": self._resize,
            "CloseIO": self._close_io,
            "Update": self._update,
            "Wait": self._wait,
            "Checkpoint": self._checkpoint,
            "Stats": self._stats,
            "Connect": self._connect,
            "Shutdown": self._shutdown,
        }

    def _called(self) -> None:
        try:
            connection = self._listener.accept()[0]
        except BlockingIOError:
            return
        self._connections.add(Connection(self._loop, connection, self._answer, self._left))
        self._task.events.flush()

    def _left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._task.shut_down()
            self._loop.after(_LOOK_S, self._look)

    def _look(self) -> None:
        """While containerd is away: it will want its tasks again, unless it has cleared up after them."""
        if self._connections:
            return
        if self._task.lost:
            begin(self._task.abandon())
        else:
            self._loop.after(_LOOK_S, self._look)

    def _answer(self, asked: Request) -> Later[bytes]:
        return begin(self._answered(asked))

    async def _answered(self, asked: Request) -> bytes:
        method = self._methods.get(asked.method)
        if asked.service != _SERVICE or method is None:
            return failure(asked.stream, UNIMPLEMENTED, f"{asked.service}/{asked.method} is not implemented")
        try:
            return response(asked.stream, await method(Fields(asked.payload)))
        except MobyError as error:
            return failure(asked.stream, _CODES.get(type(error), UNKNOWN), error.message)
        except (OSError, ValueError) as error:
            return failure(asked.stream, UNKNOWN, str(error))

    def _finished(self) -> None:
        """End, as soon as what was answered is on its way."""
        self._forget_path()
        self._loop.after(0, self._end)

    def _end(self) -> None:
        self._loop.over = True

    def _forget_path(self) -> None:
        """It is the next monitor's of this container as soon as containerd has its last answer."""
        path, self._path = self._path, ""
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    # The container

    async def _create(self, asked: Fields) -> bytes:
        bundle = asked.text(2)
        options = Fields(Fields(asked.data(10)).data(2))
        namespace = os.path.basename(os.path.dirname(bundle))
        root = os.path.join(options.text(7) or _DEFAULT_ROOT, namespace)
        rootfs = [
            Mount(one.text(1), one.text(2), tuple(word.decode() for word in one.every(4)))
            for one in map(Fields, asked.every(3))
        ]
        binary = options.text(6) or _DEFAULT_RUNTIME
        checkpoint = asked.text(8) or options.text(10)
        return message((1, await self._task.create(bundle, rootfs, binary, root, checkpoint)))

    async def _start(self, asked: Fields) -> bytes:
        name = asked.text(2)
        if not name:
            return message((1, await self._task.start()))
        process = self._task.process(name)
        pid = await self._task.execs.run(process)
        self._task.execs.follow(process)
        return message((1, pid))

    async def _delete(self, asked: Fields) -> bytes:
        name = asked.text(2)
        process = self._task.execs.forget(name) if name else await self._task.delete()
        return message((1, process.pid), (2, process.status), (3, timestamp(process.ended_at_ns)))

    async def _state(self, asked: Fields) -> bytes:
        process = self._task.process(asked.text(2))
        if process is self._task.init:
            status = _STATUSES[self._task.state]
        else:
            status = _STOPPED if process.ended.done else _RUNNING if process.pid else _CREATED
        stdio = process.stdio
        return message(
            (1, self._task.id),
            (2, self._task.bundle),
            (3, process.pid),
            (4, status),
            (5, stdio.get("stdin", "")),
            (6, stdio.get("stdout", "")),
            (7, stdio.get("stderr", "")),
            (8, bool(process.streams.console)),
            (9, process.status),
            (10, timestamp(process.ended_at_ns)),
            (11, process.name),
        )

    async def _pids(self, _: Fields) -> bytes:
        if not self._task.init.pid or self._task.state == "deleted":
            raise NotFound(f"task {self._task.id} not found")
        found = processes_in(groups_of(self._task.init.pid)) if self._task.init.runs else []
        return message(*((1, message((1, pid))) for pid in found))

    async def _pause(self, _: Fields) -> bytes:
        await self._task.pause()
        return b""

    async def _resume(self, _: Fields) -> bytes:
        await self._task.resume()
        return b""

    async def _kill(self, asked: Fields) -> bytes:
        await self._task.kill(asked.text(2), asked.number(3), everyone=bool(asked.number(4)))
        return b""

    async def _update(self, asked: Fields) -> bytes:
        await self._task.runtime.update(Fields(asked.data(2)).data(2))
        return b""

    async def _checkpoint(self, asked: Fields) -> bytes:
        options = Fields(Fields(asked.data(3)).data(2))
        words = [word for field, word in _CHECKPOINT_WORDS.items() if options.number(field)]
        for space in options.every(_EMPTY_NAMESPACES):
            words += ["--empty-ns", space.decode()]
        if mode := options.text(_CGROUPS_MODE):
            words += ["--manage-cgroups-mode", mode]
        await self._task.checkpoint(asked.text(2), words, leave_running=not options.number(_EXIT))
        return b""

    async def _wait(self, asked: Fields) -> bytes:
        process = self._task.process(asked.text(2))
        await process.ended
        return message((1, process.status), (2, timestamp(process.ended_at_ns)))

    async def _stats(self, _: Fields) -> bytes:
        kind, value = metrics(groups_of(self._task.process("").pid))
        return message((1, any_message(kind, value)))

    async def _connect(self, _: Fields) -> bytes:
        return message((1, os.getpid()), (2, self._task.init.pid))

    async def _shutdown(self, _: Fields) -> bytes:
        if self._task.state in ("none", "deleted"):
            self._forget_path()
        self._task.shut_down()
        return b""

    # One more process

    async def _exec(self, asked: Fields) -> bytes:
        stdio = {"stdin": asked.text(4), "stdout": asked.text(5), "stderr": asked.text(6)}
        self._task.check()
        if asked.number(3):
            raise NotImplemented("a terminal for a process of another client's is not supported")
        streams = NamedStreams(stdio)
        process = Process(asked.text(2), streams, spec=Fields(asked.data(7)).data(2))
        process.stdio = stdio
        process.ended.then(streams.ended)
        self._task.execs.add(process)
        return b""

    async def _resize(self, asked: Fields) -> bytes:
        streams = self._task.process(asked.text(2)).streams
        if isinstance(streams, Console):
            streams.resize(asked.number(3), asked.number(4))
        return b""

    async def _close_io(self, asked: Fields) -> bytes:
        process = self._task.process(asked.text(2))
        if isinstance(process.streams, NamedStreams):
            process.streams.close_input()
        elif process.session is not None:
            process.session.close_input()
        return b""


class Connection:
    """One connection of containerd's."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        answer: Callable[[Request], Later[bytes]],
        left: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._answer = answer
        self._left = left
        self._frames = Frames()
        self._unsent = bytearray()
        self._gone = False
        connection.setblocking(False)
        loop.watch(connection.fileno(), IN, self._happened)

    def _happened(self, event: int) -> None:
        if event & OUT:
            self._push()
        if event & (IN | BROKEN) and not self._gone:
            self._read()

    def _read(self) -> None:
        try:
            data = self._connection.recv(1 << 18)
            if not data:
                raise ConnectionResetError
            for asked in self._frames.feed(data):
                if isinstance(asked, Request):
                    self._serve(asked)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._close()

    def _serve(self, asked: Request) -> None:
        answer = self._answer(asked)

        def known() -> None:
            try:
                self._unsent += answer.result()
            except Exception as error:  # noqa: BLE001 - told here, and the caller has to know that it failed
                report(error)
                self._unsent += failure(asked.stream, UNKNOWN, f"internal error: {error!r}")
            self._push()

        answer.then(known)

    def _push(self) -> None:
        if self._gone:
            return
        try:
            sent = self._connection.send(self._unsent, socket.MSG_NOSIGNAL) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close()
            return
        del self._unsent[:sent]
        self._loop.change(self._connection.fileno(), IN | OUT if self._unsent else IN)

    def _close(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._loop.forget(self._connection.fileno())
        self._connection.close()
        self._left(self)
