"""This file is about one sandbox's name server: its sockets inside, its answers, what it passes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import struct
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from moby.core.errors import MobyError
from moby.host import namespaces
from moby.host.nftables import Nftables
from moby.host.threads import blocking
from moby.networks.resolver.messages import (
    AAAA,
    PTR,
    SERVER_FAILURE,
    UDP_LIMIT,
    A,
    Query,
    address_data,
    answer,
    name_data,
    read_query,
    reverse_address,
    truncated,
)
from moby.networks.resolver.upstream import ask

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.11"
_AT_ONCE = 128
_LARGEST = 65535
_IDLE_S = 20.0


class Names(Protocol):
    """What a sandbox may know of the others on its networks."""

    def addresses(self, sandbox: str, name: str) -> Sequence[str] | None:
        """The addresses that a name has, of both families; None if nobody is called so."""
        ...

    def name(self, sandbox: str, address: str) -> str:
        """Who has an address; empty if nobody has."""
        ...

    def servers(self, sandbox: str) -> Sequence[str]:
        """Who is asked for everything else; nobody if the sandbox has no way out."""
        ...


class Resolver:
    """Answers one sandbox's queries; lives on the event loop from `open` to `close`."""

    def __init__(self, sandbox: str, names: Names) -> None:
        self._sandbox = sandbox
        self._names = names
        self._datagrams: socket.socket | None = None
        self._streams: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self, path: str) -> None:
        """Serve inside the namespace at `path`. Raises as `namespaces.inside` does."""
        datagrams, streams = await blocking(namespaces.inside, path, _open)
        self._datagrams = datagrams
        asyncio.get_running_loop().add_reader(datagrams, self._readable)
        self._streams = await asyncio.start_server(self._serve, sock=streams)

    def close(self) -> None:
        """End; what is under way is dropped."""
        if self._datagrams is not None:
            asyncio.get_running_loop().remove_reader(self._datagrams)
            self._datagrams.close()
        if self._streams is not None:
            self._streams.close()
        for task in self._tasks:
            task.cancel()

    def _readable(self) -> None:
        assert self._datagrams is not None
        for _ in range(_AT_ONCE):
            try:
                data, client = self._datagrams.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue
            query = read_query(data)
            own = self._own(query) if query is not None else None
            if own is not None and query is not None:
                self._send(own if len(own) <= UDP_LIMIT else truncated(query), client)
            elif len(self._tasks) < _AT_ONCE:
                # Beyond that a query is lost, and asked again, as on any network.
                self._spawn(self._pass_on(data, query, client))

    def _send(self, data: bytes, client: Any) -> None:
        assert self._datagrams is not None
        with contextlib.suppress(OSError):
            self._datagrams.sendto(data, client)

    async def _pass_on(self, data: bytes, query: Query | None, client: Any) -> None:
        found = await self._asked(data, query, stream=False)
        if found is not None and self._datagrams is not None and self._datagrams.fileno() >= 0:
            self._send(found, client)

    async def _asked(self, data: bytes, query: Query | None, *, stream: bool) -> bytes | None:
        found = await ask(data, self._names.servers(self._sandbox), stream=stream)
        if found is None and query is not None:
            return answer(query, (), SERVER_FAILURE)
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                while True:
                    async with asyncio.timeout(_IDLE_S):
                        (length,) = struct.unpack(">H", await reader.readexactly(2))
                        data = await reader.readexactly(length)
                    query = read_query(data)
                    found = self._own(query) if query is not None else None
                    found = found or await self._asked(data, query, stream=True)
                    if found is None:
                        return
                    writer.write(struct.pack(">H", len(found)) + found)
                    await writer.drain()
        finally:
            writer.close()

    def _own(self, query: Query) -> bytes | None:
        """Our answer; None for what others have to be asked."""
        if query.kind == PTR:
            address = reverse_address(query.name)
            name = self._names.name(self._sandbox, address) if address else ""
            return answer(query, [name_data(name)]) if name else None
        if query.kind not in (A, AAAA):
            return None
        addresses = self._names.addresses(self._sandbox, query.name)
        if addresses is None:
            return None
        fitting = [address for address in addresses if (":" in address) == (query.kind == AAAA)]
        shuffled = random.sample(fitting, len(fitting))
        return answer(query, [address_data(address) for address in shuffled])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _open() -> tuple[socket.socket, socket.socket]:
    """Inside: sockets on ports of their own, for the container may want port 53 itself."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    streams = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        datagrams.bind((ADDRESS, 0))
        streams.bind((ADDRESS, 0))
        streams.listen(64)
        with contextlib.closing(Nftables()) as filters:
            filters.run(_rules(datagrams.getsockname()[1], streams.getsockname()[1]))
    except (OSError, MobyError):
        datagrams.close()
        streams.close()
        raise
    return datagrams, streams


def _rules(datagrams: int, streams: int) -> str:
    table = "ip moby-dns"
    return "\n".join(
        [
            f"add table {table}",
            f"add chain {table} output {{ type nat hook output priority -100; policy accept; }}",
            f"flush chain {table} output",
            f"add rule {table} output ip daddr {ADDRESS} udp dport 53 dnat to {ADDRESS}:{datagrams}",
            f"add rule {table} output ip daddr {ADDRESS} tcp dport 53 dnat to {ADDRESS}:{streams}",
        ]
    )
