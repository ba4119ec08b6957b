"""This file is about telling containerd what happens to a task: `containerd.events`, forwarded over ttrpc."""

from __future__ import annotations

import os
import socket
import time
from typing import Protocol

from moby.monitor.loop import BROKEN, IN, OUT, Loop
from moby.monitor.shim.protobuf import any_message, message, timestamp
from moby.monitor.shim.ttrpc import request

_SERVICE = "containerd.services.events.ttrpc.v1.Events"
# What cannot be told now is told later; containerd's readers compare with its tasks when they come back.
_KEPT = 128
_AGAIN_S = 1.0
_AGAIN_LIMIT = 5


class Told(Protocol):
    """What events tell of a process."""

    name: str
    pid: int
    status: int
    ended_at_ns: int


class Events:
    """Sends events in order over a connection of its own; nothing waits for them."""

    def __init__(self, loop: Loop, container: str) -> None:
        self._loop = loop
        self._container = container
        self._address = self._namespace = ""
        self._queue: list[bytes] = []
        self._connection: socket.socket | None = None
        self._sent = bytearray()
        self._stream = 1
        self._tries = 0

    def connect(self, path: str) -> None:
        """Where containerd listens stands in a file of the bundle, which lies below the namespace's name."""
        self._namespace = os.path.basename(os.path.dirname(os.path.dirname(path)))
        try:
            with open(path) as file:
                self._address = file.read().strip().removeprefix("unix://")
        except OSError:
            self._address = ""

    def task_created(self, bundle: str, pid: int) -> None:
        """It is made."""
        self._publish("/tasks/create", "TaskCreate", (1, self._container), (2, bundle), (6, pid))

    def task_started(self, pid: int) -> None:
        """Its program runs."""
        self._publish("/tasks/start", "TaskStart", (1, self._container), (2, pid))

    def exec_added(self, name: str) -> None:
        """One more process is known."""
        self._publish("/tasks/exec-added", "TaskExecAdded", (1, self._container), (2, name))

    def exec_started(self, process: Told) -> None:
        """It runs."""
        fields = (1, self._container), (2, process.name), (3, process.pid)
        self._publish("/tasks/exec-started", "TaskExecStarted", *fields)

    def exited(self, process: Told) -> None:
        """A process has ended."""
        self._publish(
            "/tasks/exit",
            "TaskExit",
            (1, self._container),
            (2, process.name or self._container),
            (3, process.pid),
            (4, process.status),
            (5, timestamp(process.ended_at_ns)),
        )

    def deleted(self, process: Told) -> None:
        """What was left of it is gone."""
        self._publish(
            "/tasks/delete",
            "TaskDelete",
            (1, self._container),
            (2, process.pid),
            (3, process.status),
            (4, timestamp(process.ended_at_ns)),
        )

    def paused(self) -> None:
        """It is frozen."""
        self._publish("/tasks/paused", "TaskPaused", (1, self._container))

    def resumed(self) -> None:
        """It is thawed."""
        self._publish("/tasks/resumed", "TaskResumed", (1, self._container))

    def checkpointed(self, path: str) -> None:
        """Its state has been written down."""
        self._publish("/tasks/checkpointed", "TaskCheckpointed", (1, self._container), (2, path))

    def out_of_memory(self) -> None:
        """The kernel has killed one of its processes for memory."""
        self._publish("/tasks/oom", "TaskOOM", (1, self._container))

    def _publish(self, topic: str, kind: str, *fields: tuple[int, int | str | bytes]) -> None:
        event = any_message(f"containerd.events.{kind}", message(*fields))
        envelope = message((1, timestamp(time.time_ns())), (2, self._namespace), (3, topic), (4, event))
        self._queue.append(message((1, envelope)))
        del self._queue[:-_KEPT]
        self._tries = 0
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as containerd is there and takes it."""
        if not self._address or not self._queue:
            return
        if self._connection is None and not self._dial():
            return
        while self._queue:
            self._sent += request(self._stream, _SERVICE, "Forward", self._queue.pop(0))
            self._stream += 2
        self._push()

    def _dial(self) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        connection.setblocking(False)
        try:
            connection.connect(self._address)
        except OSError:
            connection.close()
            self._tries += 1
            if self._tries <= _AGAIN_LIMIT:
                self._loop.after(_AGAIN_S, self.flush)
            return False
        self._connection = connection
        self._loop.watch(connection.fileno(), IN, self._happened)
        return True

    def _happened(self, event: int) -> None:
        assert self._connection is not None
        if event & OUT:
            self._push()
        if event & IN and self._connection is not None:
            # Answers say nothing but that it came.
            try:
                gone = not self._connection.recv(1 << 16)
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                self._hang_up()
        elif event & BROKEN:
            self._hang_up()

    def _push(self) -> None:
        assert self._connection is not None
        try:
            sent = self._connection.send(self._sent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._hang_up()
            return
        del self._sent[:sent]
        self._loop.change(self._connection.fileno(), IN | OUT if self._sent else IN)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._loop.forget(self._connection.fileno())
            self._connection.close()
            self._connection = None
        self._sent.clear()
