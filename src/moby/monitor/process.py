"""This file is about the life of one monitor: from its fork to the last byte of its container's output."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time

from moby.core.logs import LogWriter
from moby.logs.chain import delivery_of
from moby.monitor.attachments import Attachment
from moby.monitor.protocol import (
    Attach,
    AttachEnded,
    Discard,
    Finished,
    Message,
    MonitorRequest,
    Ready,
    Running,
    StdinClosed,
    receive,
    send,
    short_path,
)
from moby.monitor.stdio import Fifos

_CHUNK = 1 << 20
_DRAIN_LIMIT_S = 10.0
_IN, _OUT, _BROKEN = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP | select.EPOLLERR


class MonitorProcess:
    """Reads the container's output, writes its log, serves attached clients, answers the daemon.

    One thread, one epoll, nothing waits. While a client is too slow to take more, output is left in the
    FIFO, which in the end makes the container wait, as attached clients expect of docker. So it is while a
    log's destination cannot take more, unless the log is to be delivered without blocking.
    """

    def __init__(
        self, request: MonitorRequest, fifos: Fifos, log: LogWriter | None, control: socket.socket, path: str
    ) -> None:
        self._request = request
        self._fifos = fifos
        self._log = log
        self._delivery = delivery_of(log)
        self._path = path
        self._poll = select.epoll()
        self._listener = self._listen(path)
        self._controls: dict[int, socket.socket] = {}
        self._clients: dict[int, Attachment] = {}
        self._untold: list[Message] = []
        self._paused = False
        self._over = False
        self._input_ends = False
        self._opened = False
        for descriptor in fifos.outputs:
            self._poll.register(descriptor, _IN)
        self._poll.register(self._listener, _IN)
        if self._delivery is not None:
            self._poll.register(self._delivery.descriptor, _IN)
        self._welcome(control)

    def _listen(self, path: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with short_path(*os.path.split(path)) as short:
            listener.bind(short)
        os.chmod(path, 0o600)
        listener.listen(8)
        return listener

    def run(self) -> None:
        """Until all output was read and delivered, or the daemon says that there will be none."""
        outputs = self._fifos.outputs
        while outputs and not self._over:
            for descriptor, event in self._poll.poll():
                if descriptor in outputs:
                    self._read_output(descriptor)
                elif descriptor in self._clients:
                    self._serve(self._clients[descriptor], event)
                elif descriptor in self._controls:
                    self._obey(self._controls[descriptor])
                elif descriptor == self._listener.fileno():
                    self._welcome(self._listener.accept()[0])
                elif self._delivery is not None and descriptor == self._delivery.descriptor:
                    self._delivery.room()
                    self._pause_if_slow()
                elif self._fifos.input is not None:
                    self._push_input()
        self._finish()

    # Output

    def _read_output(self, descriptor: int) -> None:
        stream = self._fifos.outputs[descriptor]
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._poll.unregister(descriptor)
            os.close(descriptor)
            del self._fifos.outputs[descriptor]
            return
        if self._log is not None:
            self._log.write(stream, data, time.time_ns())
            if self._delivery is not None:
                self._pause_if_slow()
        for client in tuple(self._clients.values()):
            if client.wants(stream):
                self._after_delivery(client, client.deliver(stream, data))

    def _after_delivery(self, client: Attachment, alive: bool) -> None:
        if not alive:
            self._end(client, "closed")
        else:
            self._watch(client)

    def _watch(self, client: Attachment) -> None:
        """Ask for what we wait for with this client, and pause the container while it is too slow."""
        taking = client.reading and not (self._fifos.input is not None and self._fifos.input.full)
        self._poll.modify(client.connection, (_IN if taking else 0) | (_OUT if client.backlog else 0))
        self._pause_if_slow()

    def _pause_if_slow(self) -> None:
        pause = any(client.full for client in self._clients.values())
        pause = pause or (self._delivery is not None and self._delivery.full)
        if pause != self._paused:
            self._paused = pause
            for descriptor in self._fifos.outputs:
                self._poll.modify(descriptor, 0 if pause else _IN)

    # Clients

    def _serve(self, client: Attachment, event: int) -> None:
        if event & _OUT and not client.push():
            self._end(client, "closed")
            return
        if event & _IN and client.reading and not self._read_client(client):
            return
        if event & _BROKEN and not event & _IN:
            self._end(client, "closed")
            return
        self._watch(client)

    def _read_client(self, client: Attachment) -> bool:
        """False if that ended the attachment."""
        try:
            data = client.take()
        except OSError:
            self._end(client, "closed")
            return False
        if data is None:
            client.reading = False
            # With a terminal the end of a client is no end of input: it may only have detached.
            if client.options.stdin and self._request.stdin_once and not self._request.tty:
                self._close_input()
            return True
        if not client.options.stdin or self._fifos.input is None:
            return True
        passed, detached = client.keys.feed(data)
        if passed:
            self._fifos.input.give(passed)
            self._watch_input()
        if detached:
            self._end(client, "detached")
            return False
        return True

    def _end(self, client: Attachment, how: str) -> None:
        self._poll.unregister(client.connection)
        del self._clients[client.connection.fileno()]
        # The daemon first: a client that sees its stream end may ask it at once how the program ended.
        self._tell(AttachEnded(client.number, how))
        client.close()
        self._pause_if_slow()

    # Input

    def _watch_input(self) -> None:
        """Wait for room in the pipe while something is held back."""
        pipe = self._fifos.input
        if pipe is None or pipe.descriptor < 0:
            return
        with contextlib.suppress(FileNotFoundError):
            self._poll.unregister(pipe.descriptor)
        if pipe.waiting:
            self._poll.register(pipe.descriptor, _OUT)

    def _push_input(self) -> None:
        assert self._fifos.input is not None
        self._fifos.input.push()
        self._watch_input()
        if self._input_ends and self._opened and not self._fifos.input.waiting:
            self._close_input()
        for client in tuple(self._clients.values()):
            self._watch(client)

    def _close_input(self) -> None:
        """Only the runtime can close its own end, so the daemon has to be told; it may be away."""
        pipe = self._fifos.input
        if pipe is None or pipe.descriptor < 0:
            return
        pipe.push()
        # Before the runtime has opened its end, closing ours would lose what is in the pipe.
        self._input_ends = pipe.waiting or not self._opened
        if self._input_ends:
            self._watch_input()
            return
        with contextlib.suppress(FileNotFoundError):
            self._poll.unregister(pipe.descriptor)
        pipe.close()
        if not self._tell(StdinClosed()):
            self._untold.append(StdinClosed())

    # The daemon

    def _welcome(self, control: socket.socket) -> None:
        self._controls[control.fileno()] = control
        self._poll.register(control, _IN)
        paths = self._fifos.paths
        self._tell(
            Ready(
                self._request.id,
                os.getpid(),
                paths["stdin"],
                paths["stdout"],
                paths["stderr"],
                self._request.tty,
            )
        )
        while self._untold and self._tell(self._untold[0]):
            self._untold.pop(0)

    def _obey(self, control: socket.socket) -> None:
        try:
            message, descriptors = receive(control)
        except OSError:
            message, descriptors = None, []
        match message:
            case None:
                self._dismiss(control)
            case Attach(number, options) if descriptors:
                client = Attachment(number, socket.socket(fileno=descriptors[0]), options)
                self._clients[client.connection.fileno()] = client
                self._poll.register(client.connection, _IN)
            case Running():
                self._opened = True
                self._fifos.runtime_has_opened()
                if self._input_ends:
                    self._close_input()
            case Discard():
                self._over = True
            case _:
                self._dismiss(control)

    def _dismiss(self, control: socket.socket) -> None:
        self._poll.unregister(control)
        del self._controls[control.fileno()]
        control.close()

    def _tell(self, message: Message) -> bool:
        """Tell whoever is connected; False if nobody is."""
        told = False
        for control in tuple(self._controls.values()):
            try:
                send(control, message)
                told = True
            except OSError:
                self._dismiss(control)
        return told

    # The end

    def _finish(self) -> None:
        if self._log is not None:
            self._log.close()
        deadline = time.monotonic() + _DRAIN_LIMIT_S
        while any(client.backlog for client in self._clients.values()):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            for descriptor, event in self._poll.poll(left):
                if descriptor in self._clients:
                    self._serve(self._clients[descriptor], event)
                elif descriptor in self._controls:
                    self._obey(self._controls[descriptor])
        for client in tuple(self._clients.values()):
            self._end(client, "finished")
        self._fifos.remove()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._tell(Finished())


def settle(keep: set[int]) -> None:
    """What a freshly forked monitor does first: a session of its own, and no descriptor but its own."""
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number != signal.SIGCHLD else signal.SIG_DFL)
    previous = 2
    for descriptor in sorted(keep):
        os.closerange(previous + 1, descriptor)
        previous = max(previous, descriptor)
    os.closerange(previous + 1, 4096)
