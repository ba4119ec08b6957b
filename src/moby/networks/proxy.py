"""This file is about what comes to published ports and the kernel cannot translate.

That is what is for ::1, whose packets never leave the host, and what comes by IPv6 for a container that has
none; without a packet filter of ours it is everything. A reserved port's socket listens, and what comes is
passed on; all other packets are redirected before.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import select
import socket
from collections.abc import Sequence
from typing import Any

from moby.core.networks import Transport

log = logging.getLogger(__name__)

_CHUNK = 1 << 16
_CONNECT_S, _IDLE_S, _EXHAUSTED_S = 10.0, 90.0, 1.0
_CLIENTS, _AT_ONCE, _BACKLOG = 1024, 64, 128
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
Target = tuple[str, int]
Served = tuple[Transport, socket.socket, Target]


class Proxies:
    """Proxies of owners; each lives on the event loop until its owner's end.

    The loop waits for all of them together, by one file: thousands of ports cost it nothing.
    """

    def __init__(self) -> None:
        self._open: dict[str, list[int]] = {}
        self._proxies: dict[int, _Streams | _Datagrams] = {}
        self._poll: select.epoll | None = None

    def serve(self, owner: str, sockets: Sequence[Served]) -> None:
        """Pass on what comes to these bound sockets, which are the caller's and stay open until `close`."""
        self.close(owner)
        for protocol, bound, target in sockets:
            if protocol == "sctp":
                continue
            try:
                proxy = _Streams(bound, target) if protocol == "tcp" else _Datagrams(bound, target)
                self._polled().register(bound, select.EPOLLIN)
            except OSError as error:
                log.warning("a published port is not served by IPv6: %s", error, extra={"endpoint": owner})
                continue
            self._proxies[bound.fileno()] = proxy
            self._open.setdefault(owner, []).append(bound.fileno())

    def _polled(self) -> select.epoll:
        if self._poll is None:
            self._poll = select.epoll()
            asyncio.get_running_loop().add_reader(self._poll.fileno(), self._ready)
        return self._poll

    def _ready(self) -> None:
        assert self._poll is not None
        for descriptor, _ in self._poll.poll(0, _AT_ONCE):
            if (proxy := self._proxies.get(descriptor)) is None:
                continue
            try:
                proxy.receive()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    log.warning("a connection to a published port has to wait: %s", error)
                    self._pause(self._poll)

    def _pause(self, poll: select.epoll) -> None:
        """Until there may be files again."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(poll.fileno())

        def resume() -> None:
            if not poll.closed:
                loop.add_reader(poll.fileno(), self._ready)

        loop.call_later(_EXHAUSTED_S, resume)

    def close(self, owner: str) -> None:
        """End an owner's proxies; no error if it has none."""
        for descriptor in self._open.pop(owner, ()):
            if self._poll is not None:
                with contextlib.suppress(OSError):
                    self._poll.unregister(descriptor)
            self._proxies.pop(descriptor).close()

    def close_all(self) -> None:
        """End them all."""
        for owner in tuple(self._open):
            self.close(owner)
        if self._poll is not None:
            asyncio.get_running_loop().remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None


class _Streams:
    """Connections, passed on one by one; each side's end is passed on too."""

    def __init__(self, bound: socket.socket, target: Target) -> None:
        bound.setblocking(False)
        # For its connections, which outlast it by minutes: the port's next owner must not mind them.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.listen(_BACKLOG)
        self._bound, self._target = bound, target
        self._tasks: set[asyncio.Task[Any]] = set()

    def receive(self) -> None:
        """Take who has come. Raises OSError without memory or files for them."""
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._bound.accept()
            except BlockingIOError:
                return
            task = asyncio.get_running_loop().create_task(self._carry(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._bound.shutdown(socket.SHUT_RDWR)
        for task in self._tasks:
            task.cancel()

    async def _carry(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_S):
                    inward, outward = await asyncio.open_connection(*self._target)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(_pump(reader, outward))
                        group.create_task(_pump(inward, writer))
                finally:
                    outward.close()
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class _Datagrams:
    """Datagrams; each client has a socket of its own to the target, until it is quiet for long."""

    def __init__(self, bound: socket.socket, target: Target) -> None:
        bound.setblocking(False)
        self._bound, self._target = bound, target
        self._clients: dict[Any, _Client] = {}
        self._timer: asyncio.TimerHandle | None = None

    def receive(self) -> None:
        """Take what has come."""
        for _ in range(_AT_ONCE):
            try:
                data, address = self._bound.recvfrom(_CHUNK)
            except BlockingIOError:
                return
            if (client := self._client(address)) is not None:
                client.send(data)

    def _client(self, address: Any) -> _Client | None:
        client = self._clients.get(address)
        if client is None and len(self._clients) < _CLIENTS:
            client = self._clients[address] = _Client(self._target, self._bound, address)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(_IDLE_S, self._rest)
        return client

    def _rest(self) -> None:
        """Forget who has been quiet since the last time."""
        for address, client in list(self._clients.items()):
            if client.is_quiet():
                client.close()
                del self._clients[address]
        again = asyncio.get_running_loop().call_later
        self._timer = again(_IDLE_S, self._rest) if self._clients else None

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for client in self._clients.values():
            client.close()


class _Client:
    """One client's way to the target and back."""

    def __init__(self, target: Target, back: socket.socket, address: Any) -> None:
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(target)
        except OSError:
            self._socket.close()
            raise
        self._back, self._address, self._heard = back, address, True
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def send(self, data: bytes) -> None:
        self._heard = True
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def _readable(self) -> None:
        with contextlib.suppress(OSError):
            data = self._socket.recv(_CHUNK)
            self._heard = True
            self._back.sendto(data, self._address)

    def is_quiet(self) -> bool:
        heard, self._heard = self._heard, False
        return not heard

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
