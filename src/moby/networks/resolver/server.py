"""This file is about one sandbox's name server: its sockets inside, its answers, what it passes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import struct
from collections.abc import Coroutine, Sequence
from ipaddress import ip_address
from typing import Any, Protocol

from moby.core.errors import MobyError
from moby.core.networks import Transport
from moby.host import namespaces
from moby.host.netlink import Request
from moby.host.nftables import objects as nft
from moby.host.nftables.direct import Direct
from moby.host.nftables.expressions import addressed, port, send_to
from moby.host.threads import blocking
from moby.networks.resolver.messages import (
    AAAA,
    INTERNET,
    MX,
    NO_ERROR,
    PTR,
    REFUSED,
    SERVER_FAILURE,
    STREAM,
    A,
    Query,
    address_data,
    answer,
    name_data,
    read_query,
    reverse_address,
)
from moby.networks.resolver.upstream import Channels, Upstream, ask

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.11"
_AT_ONCE, _KNOWN = 1024, 1024
_IN_A_ROW = 64
_LARGEST_QUERY = 4096
_IDLE_S = 20.0


class Names(Protocol):
    """What a sandbox may know of the others on its networks; `version` is another one when that changes."""

    version: int

    def addresses(self, sandbox: str, name: str) -> Sequence[str] | None:
        """The addresses that a name has, of both families; None if nobody is called so."""
        ...

    def name(self, sandbox: str, address: str) -> str:
        """Who has an address; empty if nobody has."""
        ...

    def servers(self, sandbox: str) -> Sequence[Upstream]:
        """Who is asked for everything else; nobody if the sandbox has no way there."""
        ...

    def keeps_plain_names(self, sandbox: str) -> bool:
        """Is nobody else asked for a name without a dot, since the client puts its domains behind it?"""
        ...


class Resolver:
    """Answers one sandbox's queries; lives on the event loop from `open` to `close`.

    What it has answered by itself it says again at once, until somebody comes or goes.
    """

    def __init__(self, sandbox: str, path: str, names: Names) -> None:
        self._sandbox = sandbox
        self._path = path
        self._names = names
        self._channels = Channels(path)
        self._known: dict[bytes, bytes] = {}
        self._version = -1
        self._datagrams: socket.socket | None = None
        self._streams: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Serve inside the namespace. Raises as `namespaces.inside` does."""
        datagrams, streams = await blocking(namespaces.inside, self._path, _open)
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
        self._channels.close()

    def _readable(self) -> None:
        assert self._datagrams is not None
        for _ in range(_IN_A_ROW):
            try:
                data, client = self._datagrams.recvfrom(_LARGEST_QUERY)
            except BlockingIOError:
                return
            except OSError:
                continue
            if self._version == self._names.version and (known := self._known.get(data[2:])) is not None:
                self._send(data[:2] + known, client)
            elif (query := read_query(data)) is not None:
                self._answer(data, query, client)

    def _answer(self, data: bytes, query: Query, client: Any) -> None:
        records = self._own(query)
        if records is not None:
            found = answer(query, records, query.code, query.room)
            if len(records) < 2:  # Of several each comes first in its turn.
                self._remember(data, found)
            self._send(found, client)
        elif len(self._tasks) < _AT_ONCE:
            self._spawn(self._pass_on(data, query, client))
        else:
            self._send(answer(query, (), REFUSED), client)

    def _remember(self, data: bytes, found: bytes) -> None:
        if self._version != self._names.version or len(self._known) >= _KNOWN:
            self._known.clear()
            self._version = self._names.version
        self._known[data[2:]] = found[2:]

    def _send(self, data: bytes, client: Any) -> None:
        assert self._datagrams is not None
        with contextlib.suppress(OSError):
            self._datagrams.sendto(data, client)

    async def _pass_on(self, data: bytes, query: Query, client: Any) -> None:
        found = await self._asked(data, query, stream=False)
        if self._datagrams is not None and self._datagrams.fileno() >= 0:
            self._send(found, client)

    async def _asked(self, data: bytes, query: Query, *, stream: bool) -> bytes:
        servers = self._names.servers(self._sandbox)
        found = await ask(data, servers, self._channels, stream=stream)
        return answer(query, (), SERVER_FAILURE) if found is None else found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                while True:
                    async with asyncio.timeout(_IDLE_S):
                        (length,) = struct.unpack(">H", await reader.readexactly(2))
                        data = await reader.readexactly(length)
                    if (query := read_query(data)) is None:
                        return
                    records = self._own(query)
                    if records is not None:
                        found = answer(query, records, query.code, STREAM)
                    else:
                        found = await self._asked(data, query, stream=True)
                    writer.write(struct.pack(">H", len(found)) + found)
                    await writer.drain()
        finally:
            writer.close()

    def _own(self, query: Query) -> Sequence[bytes] | None:
        """The records that we answer with; None for what others have to be asked."""
        if query.code != NO_ERROR:
            return ()
        if query.group != INTERNET:
            return None
        if query.kind == PTR:
            address = reverse_address(query.name)
            name = self._names.name(self._sandbox, address) if address else ""
            return [name_data(name)] if name else None
        if query.kind not in (A, AAAA, MX):
            return None
        addresses = self._names.addresses(self._sandbox, query.name)
        if query.kind == MX:
            # Without a mail server of its own: mail goes to the address.
            return None if addresses is None else ()
        if addresses is None:
            kept = "." not in query.name and self._names.keeps_plain_names(self._sandbox)
            return () if kept else None
        fitting = [address for address in addresses if (":" in address) == (query.kind == AAAA)]
        random.shuffle(fitting)
        return [address_data(address) for address in fitting]

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
        with Direct() as filters:
            filters.change(_rules(datagrams.getsockname()[1], streams.getsockname()[1]))
    except (OSError, MobyError):
        datagrams.close()
        streams.close()
        raise
    return datagrams, streams


def _rules(datagrams: int, streams: int) -> list[Request]:
    place = "ip", "moby-dns"
    chain = *place, "output"
    here = ip_address(ADDRESS)
    ports: tuple[tuple[Transport, int], ...] = ("udp", datagrams), ("tcp", streams)
    return [
        nft.add_table(*place),
        nft.add_chain(*chain, ("nat", "output", -100)),
        nft.flush_chain(*chain),
        *(
            nft.add_rule(*chain, (addressed("daddr", here), port(name, 53), send_to(here, number)))
            for name, number in ports
        ),
    ]
