"""This file is about `docker attach`: handing a client's connection to the container's monitor."""

from __future__ import annotations

import asyncio
import logging
import re
import select
import socket

from moby.core.errors import Conflict, InvalidParameter
from moby.core.logs import LogQuery
from moby.core.types.requests import AttachRequest, Takeover
from moby.engine.containers.container import Container, PendingAttachment
from moby.engine.containers.logs import LogService
from moby.engine.containers.shelf import Shelf
from moby.monitor.client import AttachEnd, Monitor
from moby.monitor.protocol import AttachOptions

log = logging.getLogger(__name__)

DEFAULT_DETACH_KEYS = b"\x10\x11"
_CONTROL = re.compile(r"ctrl-([a-z@\[\\\]^_])")


def parse_detach_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` as the bytes a terminal sends. Raises InvalidParameter."""
    if not text:
        return DEFAULT_DETACH_KEYS
    keys = bytearray()
    for word in text.split(","):
        if (match := _CONTROL.fullmatch(word)) is not None:
            keys.append(ord(match[1].upper()) - 64)
        elif word == "DEL":
            keys.append(127)
        elif len(word) == 1 and word.isascii():
            keys.append(ord(word))
        else:
            raise InvalidParameter(f"Invalid detach keys ({text}) provided")
    return bytes(keys)


def _future() -> asyncio.Future[Monitor | None]:
    return asyncio.get_running_loop().create_future()


class Attacher:
    """Attaches clients to containers, running or about to run."""

    def __init__(self, shelf: Shelf, logs: LogService) -> None:
        self._shelf = shelf
        self._logs = logs

    async def attach(self, name: str, request: AttachRequest, takeover: Takeover) -> None:
        """Returns when the attachment has ended. Raises Conflict for a paused or restarting container."""
        container = self._shelf.find(name)
        record = container.record
        if record.state.paused:
            raise Conflict(f"container {name} is paused, unpause the container before attach")
        if record.state.restarting:
            raise Conflict(f"container {name} is restarting, wait until the container is running")
        keys = parse_detach_keys(request.detach_keys)
        tty = bool(record.config.tty)
        options = AttachOptions(
            stdin=request.stdin and bool(record.config.open_stdin),
            stdout=request.stdout,
            stderr=request.stderr,
            multiplexed=request.multiplexed and not tty,
            detach_keys=keys if tty or request.detach_keys else b"",
        )
        connection = await takeover(not tty)
        try:
            if request.logs:
                await self._replay(container, request, connection)
            if request.stream:
                self._shelf.publish(container, "attach")
                await self._stream(container, options, connection)
        finally:
            connection.close()

    async def _stream(self, container: Container, options: AttachOptions, connection: socket.socket) -> None:
        monitor = container.monitor
        if monitor is None and not container.record.state.running:
            monitor = await self._started(container, PendingAttachment(connection, options, _future()))
        if monitor is None:
            return
        if await monitor.attach(connection, options) is AttachEnd.DETACHED:
            self._shelf.publish(container, "detach")

    async def _started(self, container: Container, pending: PendingAttachment) -> Monitor | None:
        container.pending.append(pending)
        try:
            with _Watched(pending):
                return await pending.monitor
        finally:
            if pending in container.pending:
                container.pending.remove(pending)

    async def _replay(self, container: Container, request: AttachRequest, connection: socket.socket) -> None:
        query = LogQuery(stdout=request.stdout, stderr=request.stderr)
        loop = asyncio.get_running_loop()
        async for chunk in self._logs.framed(container, query, multiplexed=request.multiplexed):
            await loop.sock_sendall(connection, chunk)


class _Watched:
    """Notices that a client went away while its container is not started yet."""

    def __init__(self, pending: PendingAttachment) -> None:
        self._pending = pending

    def __enter__(self) -> None:
        asyncio.get_running_loop().add_reader(self._pending.connection, self._readable)

    def __exit__(self, *_: object) -> None:
        if self._pending.connection.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._pending.connection)

    def _readable(self) -> None:
        """Input stays for the monitor to read. Clients without input end their half at once: only a
        connection that is broken both ways is gone."""
        asyncio.get_running_loop().remove_reader(self._pending.connection)
        poll = select.poll()
        poll.register(self._pending.connection, 0)
        gone = any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
        if gone and not self._pending.monitor.done():
            self._pending.monitor.set_result(None)
