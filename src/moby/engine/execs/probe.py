"""This file is about commands whose output we want ourselves, within a time limit: health checks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence

import msgspec

from moby.core.errors import MobyError
from moby.core.types.execs import ExecCreateRequest, ExecStartRequest
from moby.core.types.requests import Takeover
from moby.engine.containers.container import Container
from moby.engine.execs.service import Execs

OUTPUT_LIMIT = 4096
_CHUNK = 65536


class Probed(msgspec.Struct, frozen=True):
    """How a command ended, and the beginning of what it wrote; None if it was ended for taking too long."""

    exit_code: int | None
    output: str


class Probes:
    """Runs commands in containers, as their users would, and listens."""

    def __init__(self, execs: Execs) -> None:
        self._execs = execs

    async def run(self, container: Container, command: Sequence[str], limit_s: float) -> Probed:
        """Run it. Raises what keeps it from being run. Cancelled, or after `limit_s`, it is killed."""
        request = ExecCreateRequest(attach_stdout=True, attach_stderr=True, cmd=list(command))
        name = await self._execs.create(container.id, request)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        ended = False
        try:
            with ours:
                async with asyncio.TaskGroup() as group:
                    # A terminal on the client's side alone means that nothing is framed.
                    group.create_task(self._execs.start(name, ExecStartRequest(tty=True), _taken(theirs)))
                    output, ended = await _read(ours, limit_s)
                    if not ended:
                        await self._execs.kill(name)
                found = await self._execs.inspect(name)
        finally:
            await asyncio.shield(self._execs.forget(name))
        if ended and not found.pid:
            raise MobyError(output.strip())
        return Probed(found.exit_code if ended else None, output)


def _taken(connection: socket.socket) -> Takeover:
    async def takeover(_: bool) -> socket.socket:
        return connection

    return takeover


async def _read(connection: socket.socket, limit_s: float) -> tuple[str, bool]:
    """The beginning of what comes, and whether it came to its end in time."""
    loop, kept = asyncio.get_running_loop(), bytearray()
    try:
        async with asyncio.timeout(limit_s):
            with contextlib.suppress(ConnectionError):
                while data := await loop.sock_recv(connection, _CHUNK):
                    kept += data[: OUTPUT_LIMIT - len(kept)]
    except TimeoutError:
        return kept.decode(errors="replace"), False
    return kept.decode(errors="replace"), True
