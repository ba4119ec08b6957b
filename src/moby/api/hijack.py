"""This file is about taking a client's connection over from HTTP.

Attach and exec turn the connection into a plain stream. aiohttp has no such thing, so its socket is
duplicated, aiohttp's own is closed, and the duplicate is handed over. If the client sent bytes before it was
told to, the other end of a socket pair is handed over instead, and relayed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Callable, Coroutine
from typing import Any

from moby.api.responses import MULTIPLEXED_STREAM, RAW_STREAM
from moby.api.serving import BaseRequest
from moby.core.errors import System

_CHUNK = 64 * 1024
# On a busy machine a client may wait long for its turn.
_HEAD_LIMIT_S, _HEAD_STEP_S = 0.5, 0.0005

Spawn = Callable[[Coroutine[Any, Any, None]], object]


def _head(request: BaseRequest, *, multiplexed: bool, typed: bool) -> bytes:
    """What the client is told; `typed`: its version knows the multiplexed type."""
    kind = MULTIPLEXED_STREAM if multiplexed and typed else RAW_STREAM
    if "Upgrade" in request.headers:
        return (
            f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        ).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: {RAW_STREAM}\r\n\r\n".encode()


async def take_over(request: BaseRequest, spawn: Spawn, *, multiplexed: bool, typed: bool) -> socket.socket:
    """The connection as a plain non-blocking socket; `spawn` runs the relay, if one is needed.

    After this aiohttp's handler of the request is cancelled: call it from a task of one's own. Raises System
    if the client has gone.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise System("the client has gone")
    head = _head(request, multiplexed=multiplexed, typed=typed)
    transport.pause_reading()
    early: bytes = getattr(request.protocol, "early", None) or b""
    connection = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    connection.setblocking(False)
    transport.abort()
    try:
        await asyncio.get_running_loop().sock_sendall(connection, head)
        await _read_by_client(connection)
    except OSError as error:
        connection.close()
        raise System("the client has gone") from error
    if not early:
        return connection
    ours, theirs = _pair()
    spawn(_relay_socket(connection, ours, early))
    return theirs


async def _read_by_client(connection: socket.socket) -> None:
    """Wait a little until the client has read the head.

    Some clients take what comes together with it for a part of the answer, and lose it (docker-py). Only for
    Unix sockets, where the kernel counts what the other side has not read yet (SIOCOUTQ).
    """
    if connection.family != socket.AF_UNIX:
        return
    deadline = asyncio.get_running_loop().time() + _HEAD_LIMIT_S
    while asyncio.get_running_loop().time() < deadline:
        (unread,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
        if not unread:
            return
        await asyncio.sleep(_HEAD_STEP_S)


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


async def _relay_socket(client: socket.socket, ours: socket.socket, early: bytes) -> None:
    with client, ours:
        try:
            await asyncio.get_running_loop().sock_sendall(ours, early)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(client, ours))
                both.create_task(_pump(ours, client))
        except* OSError:
            pass


async def _pump(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, _CHUNK):
        await loop.sock_sendall(target, data)
    target.shutdown(socket.SHUT_WR)
