"""This file is about what comes to published ports and the kernel cannot translate.

That is what is for ::1, whose packets never leave the host, and what comes by IPv6 for a container that has
none. A reserved port's socket listens, and what comes is passed on; all other packets are redirected before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from typing import Any

from moby.core.networks import Transport

log = logging.getLogger(__name__)

_CHUNK = 1 << 16
_CONNECT_S, _IDLE_S = 10.0, 90.0
_CLIENTS = 1024
Target = tuple[str, int]
Served = tuple[Transport, socket.socket, Target]


class Proxies:
    """Proxies of owners; each lives on the event loop until its owner's end."""

    def __init__(self) -> None:
        self._open: dict[str, list[_Streams | _Datagrams]] = {}

    async def serve(self, owner: str, sockets: Sequence[Served]) -> None:
        """Pass on what comes to these bound sockets, of which copies are made."""
        self.close(owner)
        for protocol, bound, target in sockets:
            proxy: _Streams | _Datagrams | None = None
            try:
                if protocol == "tcp":
                    proxy = _Streams(target)
                elif protocol == "udp":
                    proxy = _Datagrams(target)
                if proxy is not None:
                    await proxy.open(bound.dup())
                    self._open.setdefault(owner, []).append(proxy)
            except OSError as error:
                log.warning("a published port is not served by IPv6: %s", error, extra={"endpoint": owner})

    def close(self, owner: str) -> None:
        """End an owner's proxies; no error if it has none."""
        for proxy in self._open.pop(owner, ()):
            proxy.close()

    def close_all(self) -> None:
        """End them all."""
        for owner in tuple(self._open):
            self.close(owner)


class _Streams:
    """Connections, passed on one by one; each side's end is passed on too."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._bound: socket.socket | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self, bound: socket.socket) -> None:
        bound.setblocking(False)
        # For its connections, which outlast it by minutes: the port's next owner must not mind them.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._bound = bound
        self._server = await asyncio.start_server(self._serve, sock=bound)

    def close(self) -> None:
        if self._bound is not None:
            # The loop closes it some time later; the port may be wanted at once.
            with contextlib.suppress(OSError):
                self._bound.shutdown(socket.SHUT_RDWR)
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
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
            self._tasks.discard(task)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class _Datagrams(asyncio.DatagramProtocol):
    """Datagrams; each client has a socket of its own to the target, until it is quiet for long."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._transport: asyncio.DatagramTransport | None = None
        self._clients: dict[Any, _Client] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def open(self, bound: socket.socket) -> None:
        bound.setblocking(False)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=bound)
        self._rest()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        client = self._clients.get(addr)
        if client is None:
            if len(self._clients) >= _CLIENTS or self._transport is None:
                return
            try:
                client = self._clients[addr] = _Client(self._target, self._transport, addr)
            except OSError:
                return
        client.send(data)

    def _rest(self) -> None:
        """Forget who has been quiet since the last time."""
        for addr, client in list(self._clients.items()):
            if client.is_quiet():
                client.close()
                del self._clients[addr]
        self._timer = asyncio.get_running_loop().call_later(_IDLE_S, self._rest)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for client in self._clients.values():
            client.close()
        if self._transport is not None:
            self._transport.close()


class _Client:
    """One client's way to the target and back."""

    def __init__(self, target: Target, back: asyncio.DatagramTransport, address: Any) -> None:
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
