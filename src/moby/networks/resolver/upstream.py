"""This file is about asking other name servers: a query is passed on as it is."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence

import msgspec

from moby.core.errors import MobyError
from moby.host import namespaces
from moby.host.threads import blocking
from moby.networks.resolver.messages import answers, has_failed

_LIMIT_S = 4.0
_PORT = 53
_LARGEST = 65535
_SPARE = 8


class Upstream(msgspec.Struct, frozen=True):
    """A name server; those that the host itself has are asked from there, others from inside the sandbox."""

    address: str
    from_host: bool = False

    @property
    def family(self) -> socket.AddressFamily:
        """The address family it is spoken to in."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET


class Channels:
    """Sockets that belong to the namespace at `path`: some are made at a time, for those who come next."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._spare: dict[tuple[int, int], list[socket.socket]] = {}
        self._closed = False

    async def take(self, server: Upstream, kind: socket.SocketKind) -> socket.socket:
        """A socket to ask a server by, the caller's. Raises OSError and MobyError."""
        if server.from_host:
            return socket.socket(server.family, kind | socket.SOCK_NONBLOCK)
        spare = self._spare.setdefault((server.family, kind), [])
        count = _SPARE if kind == socket.SOCK_DGRAM else 1
        while not spare:
            spare += await blocking(
                namespaces.inside, self._path, lambda: _sockets(server.family, kind, count)
            )
            if self._closed:
                self.close()
                raise OSError("the sandbox is gone")
        return spare.pop()

    def close(self) -> None:
        """Close what nobody took."""
        self._closed = True
        for spare in self._spare.values():
            while spare:
                spare.pop().close()


def _sockets(family: socket.AddressFamily, kind: socket.SocketKind, count: int) -> list[socket.socket]:
    return [socket.socket(family, kind | socket.SOCK_NONBLOCK) for _ in range(count)]


async def ask(query: bytes, servers: Sequence[Upstream], channels: Channels, *, stream: bool) -> bytes | None:
    """The first answer of the servers, tried in their order; None if none has one."""
    by = _by_stream if stream else _by_datagram
    for server in servers:
        try:
            async with asyncio.timeout(_LIMIT_S):
                found = await by(query, server, channels)
        except (OSError, MobyError, TimeoutError, asyncio.IncompleteReadError):
            continue
        if found is not None and not has_failed(found):
            return found
    return None


async def _by_datagram(query: bytes, server: Upstream, channels: Channels) -> bytes:
    loop = asyncio.get_running_loop()
    with await channels.take(server, socket.SOCK_DGRAM) as channel:
        # Connected, so that nobody else's datagrams are taken for the answer.
        channel.connect((server.address, _PORT))
        await loop.sock_sendall(channel, query)
        while True:
            data = await loop.sock_recv(channel, _LARGEST)
            if answers(data, query):
                return data


async def _by_stream(query: bytes, server: Upstream, channels: Channels) -> bytes | None:
    with await channels.take(server, socket.SOCK_STREAM) as channel:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(channel, (server.address, _PORT))
        await loop.sock_sendall(channel, struct.pack(">H", len(query)) + query)
        (length,) = struct.unpack(">H", await _exactly(channel, 2))
        data = await _exactly(channel, length)
    return data if answers(data, query) else None


async def _exactly(channel: socket.socket, count: int) -> bytes:
    loop, found = asyncio.get_running_loop(), bytearray()
    while len(found) < count:
        data = await loop.sock_recv(channel, count - len(found))
        if not data:
            raise ConnectionResetError("the name server ended the connection")
        found += data
    return bytes(found)
