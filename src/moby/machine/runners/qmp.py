"""This file is about talking to a running qemu: its machine protocol, a JSON object a line on a socket."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from moby.core.errors import System, Unavailable

SOCKET = "qmp"
_LINE_LIMIT = 1 << 20
_CREDENTIALS = struct.Struct("3i")


class Qmp:
    """A conversation with one qemu; `pid` is its process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int) -> None:
        self._reader, self._writer, self.pid = reader, writer, pid

    async def execute(self, command: str) -> Any:
        """What a command answers. Raises System with qemu's words, Unavailable if it has gone."""
        self._writer.write(msgspec.json.encode({"execute": command}) + b"\n")
        while True:
            said = await self._next()
            if "error" in said:
                raise System(f"qemu: {said['error'].get('desc', 'an error')}")
            # What happens meanwhile is told in between.
            if "return" in said:
                return said["return"]

    async def _next(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as error:
            raise Unavailable("qemu has gone") from error
        if not line:
            raise Unavailable("qemu has gone")
        return cast("dict[str, Any]", msgspec.json.decode(line))


def owner(folder: Path) -> int:
    """The process of the qemu whose socket is in a folder, or 0; it need not answer, as it may be busy."""
    try:
        with _connected(folder) as sock:
            return _pid(sock)
    except OSError:
        return 0


@asynccontextmanager
async def talking(folder: Path, limit_s: float = 5.0) -> AsyncIterator[Qmp]:
    """A conversation with the qemu whose socket is in a folder. Raises Unavailable if none answers."""
    try:
        sock = _connected(folder)
        pid = _pid(sock)
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=_LINE_LIMIT)
    except OSError as error:
        raise Unavailable("the machine does not run") from error
    try:
        async with asyncio.timeout(limit_s):
            found = Qmp(reader, writer, pid)
            await found.execute("qmp_capabilities")
    except TimeoutError as error:
        writer.close()
        raise Unavailable("qemu does not answer") from error
    try:
        yield found
    finally:
        writer.close()


def _connected(folder: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A path of a socket has 107 bytes; this one is short wherever the folder is.
        holder = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{holder}/{SOCKET}")
        finally:
            os.close(holder)
    except OSError:
        sock.close()
        raise
    return sock


def _pid(sock: socket.socket) -> int:
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(found)[0])
