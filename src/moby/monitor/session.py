"""This file is about one process's session: what is read of it and logged, and who is attached to it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence

from moby.core.logs import LogWriter
from moby.logs.chain import delivery_of
from moby.monitor.attachments import Attachment
from moby.monitor.loop import BROKEN, IN, OUT, Loop
from moby.monitor.protocol import (
    Attach,
    AttachEnded,
    Delivered,
    Discard,
    Finished,
    Message,
    MonitorRequest,
    Ready,
    Running,
    StdinClosed,
    listening,
    receive,
    send,
)
from moby.monitor.stdio import StandardStreams

# More is faster by little, and others wait for the processor until it is written.
_CHUNK = 1 << 17
_DRAIN_LIMIT_S = 10.0

# What else the daemon may ask a session for: the message, what came beside it; is it known?
More = Callable[[Message, Sequence[int]], bool]


class Session:
    """Reads a process's output, writes its log, serves attached clients, answers the daemon.

    Nothing waits. While a client is too slow to take more, output is left in the pipe, which in the end makes
    the process wait, as attached clients expect of docker. So it is while a log's destination cannot take
    more, unless the log is to be delivered without blocking.

    Life: it ends when all output was read and delivered, or the daemon says that there will be none, and the
    process is known to have ended if we run it (`held` until then); `ended` is called at last.
    """

    def __init__(
        self,
        loop: Loop,
        request: MonitorRequest,
        streams: StandardStreams,
        log: LogWriter | None,
        control: socket.socket,
        path: str,
    ) -> None:
        self.request = request
        self.streams = streams
        self.ended: Callable[[], None] = lambda: None
        self.more: More = lambda *_: False
        self.held = False
        # Is it of no use to anybody if the daemon goes away?
        self.needs_daemon = False
        self._loop = loop
        self._log = log
        self._delivery = delivery_of(log)
        self._path = path
        self._listener = listening(path)
        self._controls: dict[int, socket.socket] = {}
        self._clients: dict[int, Attachment] = {}
        self._untold: list[Message] = []
        self._paused = False
        self._finishing = False
        self._delivered_all = False
        self._over = False
        self._input_ends = False
        # Only FIFOs lose what is in them when they are closed before they were opened by their reader.
        self._opened = not any(streams.paths.values())
        self.outputs_known()
        loop.watch(self._listener.fileno(), IN, lambda _: self._called())
        if self._delivery is not None:
            loop.watch(self._delivery.descriptor, IN, lambda _: self._delivered())
        self._welcome(control)

    # Output

    def outputs_known(self) -> None:
        """Read all outputs, as soon as it is known which there are; none at all is the end."""
        if self.streams.complete:
            for descriptor in self.streams.outputs:
                self._loop.watch(descriptor, IN, self._reader(descriptor))
            self._end_if_done()

    def _reader(self, descriptor: int) -> Callable[[int], None]:
        return lambda _: self._read_output(descriptor)

    def _end_if_done(self) -> None:
        if not self.streams.outputs:
            self.finish()

    def _read_output(self, descriptor: int) -> None:
        stream = self.streams.outputs[descriptor]
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # nobody holds the other end of a terminal any more
        if not data:
            self._loop.forget(descriptor)
            os.close(descriptor)
            del self.streams.outputs[descriptor]
            self._end_if_done()
            return
        if self._log is not None:
            self._log.write(stream, data, time.time_ns())
            if self._delivery is not None:
                self._pause_if_slow()
        for client in tuple(self._clients.values()):
            if client.wants(stream):
                self._after_delivery(client, client.deliver(stream, data))

    def _delivered(self) -> None:
        assert self._delivery is not None
        self._delivery.room()
        self._pause_if_slow()

    def _after_delivery(self, client: Attachment, alive: bool) -> None:
        if not alive:
            self._end(client, "closed")
        else:
            self._watch(client)

    def _watch(self, client: Attachment) -> None:
        """Ask for what we wait for with this client, and pause the process while it is too slow."""
        pipe = self.streams.input
        taking = client.reading and not (pipe is not None and pipe.full)
        self._loop.change(client.connection.fileno(), (IN if taking else 0) | (OUT if client.backlog else 0))
        self._pause_if_slow()

    def _pause_if_slow(self) -> None:
        pause = any(client.full for client in self._clients.values())
        pause = pause or (self._delivery is not None and self._delivery.full)
        if pause != self._paused:
            self._paused = pause
            for descriptor in self.streams.outputs:
                self._loop.change(descriptor, 0 if pause else IN)

    # Clients

    def _serve(self, client: Attachment, event: int) -> None:
        self._exchange(client, event)
        self._close_if_delivered()

    def _exchange(self, client: Attachment, event: int) -> None:
        if event & OUT and not client.push():
            self._end(client, "closed")
            return
        if event & IN and client.reading and not self._read_client(client):
            return
        if event & BROKEN and not event & IN:
            self._end(client, "closed")
            return
        self._watch(client)

    def _read_client(self, client: Attachment) -> bool:
        """False if that ended the attachment."""
        pipe = self.streams.input
        try:
            data = client.take()
        except OSError:
            self._end(client, "closed")
            return False
        if data is None:
            client.reading = False
            # With a terminal the end of a client is no end of input: it may only have detached.
            if client.options.stdin and self.request.stdin_once and not self.request.tty:
                self.close_input()
            return True
        if not client.options.stdin or pipe is None:
            return True
        passed, detached = client.keys.feed(data)
        if passed:
            pipe.give(passed)
            self._watch_input()
        if detached:
            self._end(client, "detached")
            return False
        return True

    def _end(self, client: Attachment, how: str) -> None:
        self._loop.forget(client.connection.fileno())
        del self._clients[client.connection.fileno()]
        # The daemon first: a client that sees its stream end may ask it at once how the program ended.
        self.tell(AttachEnded(client.number, how))
        client.close()
        self._pause_if_slow()

    # Input

    def _watch_input(self) -> None:
        """Wait for room in the pipe while something is held back."""
        pipe = self.streams.input
        if pipe is None or pipe.descriptor < 0:
            return
        self._loop.forget(pipe.descriptor)
        if pipe.waiting:
            self._loop.watch(pipe.descriptor, OUT, lambda _: self._push_input())

    def _push_input(self) -> None:
        pipe = self.streams.input
        assert pipe is not None
        pipe.push()
        self._watch_input()
        if self._input_ends and self._opened and not pipe.waiting:
            self.close_input()
        for client in tuple(self._clients.values()):
            self._watch(client)

    def close_input(self) -> None:
        """Nothing more comes. Another's shim has an end of its own: the daemon is told, which may be away."""
        pipe = self.streams.input
        if pipe is None or pipe.descriptor < 0:
            return
        pipe.push()
        # Before the runtime has opened its end, closing ours would lose what is in the pipe.
        self._input_ends = pipe.waiting or not self._opened
        if self._input_ends:
            self._watch_input()
            return
        self._loop.forget(pipe.descriptor)
        pipe.close()
        if self.streams.paths["stdin"] and not self.tell(StdinClosed()):
            self._untold.append(StdinClosed())

    # The daemon

    def _called(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._welcome(self._listener.accept()[0])

    def _welcome(self, control: socket.socket) -> None:
        self._controls[control.fileno()] = control
        self._loop.watch(control.fileno(), IN, lambda _: self._obey(control))
        paths = self.streams.paths
        self.tell(
            Ready(
                self.request.id,
                os.getpid(),
                paths["stdin"],
                paths["stdout"],
                paths["stderr"],
                self.request.tty,
                self.request.shim != "",
            )
        )
        if self._delivered_all:
            self.tell(Delivered())
        while self._untold and self.tell(self._untold[0]):
            self._untold.pop(0)

    def _obey(self, control: socket.socket) -> None:
        try:
            message, descriptors = receive(control)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = None, []
        match message:
            case None:
                self._dismiss(control)
            case Attach(number, options) if descriptors:
                client = Attachment(number, socket.socket(fileno=descriptors[0]), options)
                self._clients[client.connection.fileno()] = client
                self._loop.watch(client.connection.fileno(), IN, lambda event: self._serve(client, event))
            case Running():
                self._opened = True
                self.streams.runtime_has_opened()
                if self._input_ends:
                    self.close_input()
                self.more(message, descriptors)
            case Discard():
                self.finish()
            case _:
                if not self.more(message, descriptors):
                    self._dismiss(control)

    def _dismiss(self, control: socket.socket) -> None:
        self._loop.forget(control.fileno())
        del self._controls[control.fileno()]
        control.close()
        if self.needs_daemon and not self._controls:
            self.finish()

    def tell(self, message: Message) -> bool:
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

    def finish(self) -> None:
        """No more output will come: close the log, and end when the clients have taken what they are sent."""
        if self._finishing:
            return
        self._finishing = True
        for descriptor in tuple(self.streams.outputs):
            self._loop.forget(descriptor)
            os.close(descriptor)
        self.streams.outputs.clear()
        if self._delivery is not None:
            self._loop.forget(self._delivery.descriptor)
        if self._log is not None:
            self._log.close()
        self._loop.after(_DRAIN_LIMIT_S, self._close)
        self._close_if_delivered()

    def _close_if_delivered(self) -> None:
        if self._finishing and not any(client.backlog for client in self._clients.values()):
            self._close()

    def _close(self) -> None:
        for client in tuple(self._clients.values()):
            self._end(client, "finished")
        if not self._delivered_all:
            self._delivered_all = True
            self.tell(Delivered())
        if self._over or self.held:
            return
        self._over = True
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        self.streams.remove()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self.tell(Finished())
        for control in tuple(self._controls.values()):
            self._dismiss(control)
        self.ended()

    def release(self) -> None:
        """It is held no longer."""
        self.held = False
        # Is it of no use to anybody if the daemon goes away?
        self.needs_daemon = False
        self._close_if_delivered()
