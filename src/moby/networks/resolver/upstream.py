"""This file is about asking other name servers: a query is passed on as it is, from the host."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence

from moby.networks.resolver.messages import answers

_LIMIT_S = 4.0
_PORT = 53
_LARGEST = 65535


async def ask(query: bytes, servers: Sequence[str], *, stream: bool) -> bytes | None:
    """The first answer of the servers, tried in their order; None if none has one."""
    for server in servers:
        try:
            async with asyncio.timeout(_LIMIT_S):
                found = await (_by_stream(query, server) if stream else _by_datagram(query, server))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            continue
        if found is not None:
            return found
    return None


async def _by_datagram(query: bytes, server: str) -> bytes:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        # Connected, so that nobody else's datagrams are taken for the answer.
        channel.connect((server, _PORT))
        await loop.sock_sendall(channel, query)
        while True:
            data = await loop.sock_recv(channel, _LARGEST)
            if answers(data, query):
                return data


async def _by_stream(query: bytes, server: str) -> bytes | None:
    reader, writer = await asyncio.open_connection(server, _PORT)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        data = await reader.readexactly(length)
    finally:
        writer.close()
    return data if answers(data, query) else None
