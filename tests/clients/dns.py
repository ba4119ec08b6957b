"""Name servers and their clients, down to the bytes: what containers ask, and whom the engine asks for them."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.clients.engine import within

A, PTR, MX, TXT, AAAA = 1, 12, 15, 16, 28
OPTIONS = 41


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a name server said; `records` are kind, TTL and data."""

    number: int
    flags: int
    records: tuple[tuple[int, int, bytes], ...] = ()

    @property
    def code(self) -> int:
        return self.flags & 0xF

    @property
    def truncated(self) -> bool:
        return bool(self.flags & 0x0200)

    @property
    def addresses(self) -> list[str]:
        """Those of either family."""
        families = {A: socket.AF_INET, AAAA: socket.AF_INET6}
        return [socket.inet_ntop(families[kind], data) for kind, _, data in self.records if kind in families]


def encoded(name: str) -> bytes:
    """A name as it is on the wire."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def question(name: str, kind: int = A, number: int = 7, room: int = 0) -> bytes:
    """A query; `room` says how much the client can take by datagram."""
    head = struct.pack(">6H", number, 0x0100, 1, 0, 0, bool(room))
    options = b"\0" + struct.pack(">HHIH", OPTIONS, room, 0, 0) if room else b""
    return head + encoded(name) + struct.pack(">HH", kind, 1) + options


def behind(data: bytes, at: int) -> int:
    """Where a name ends."""
    while length := data[at]:
        if length >= 0xC0:
            return at + 2
        at += 1 + length
    return at + 1


def read(data: bytes) -> Answer:
    """An answer to a query of one question at most."""
    number, flags, questions, count, _, _ = struct.unpack_from(">6H", data)
    at = 12
    if questions:
        at = behind(data, at) + 4
    records = []
    for _ in range(count):
        at = behind(data, at)
        kind, _, ttl, size = struct.unpack_from(">HHIH", data, at)
        at += 10 + size
        records.append((kind, ttl, data[at - size : at]))
    return Answer(number, flags, tuple(records))


def reply(query: bytes, address: str = "", code: int = 0, flags: int = 0) -> bytes:
    """What an upstream server says: one address, or a code."""
    section = query[12 : query.index(b"\0", 12) + 5]
    head = query[:2] + struct.pack(">5H", 0x8180 | code | flags, 1, bool(address), 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 77, 4) + socket.inet_aton(address) if address else b""
    return head + section + record


def ask(
    namespace: Path, query: bytes, *, stream: bool = False, server: str = "127.0.0.11", limit: float = 15
) -> Answer:
    """A query asked from inside a namespace, by datagram or TCP."""

    def inside() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as client:
            client.settimeout(limit)
            client.connect((server, 53))
            if not stream:
                client.send(query)
                return client.recv(65535)
            client.sendall(struct.pack(">H", len(query)) + query)
            with client.makefile("rb") as file:
                return file.read(int.from_bytes(file.read(2), "big"))

    return read(within(namespace, inside))


def wake(address: str) -> None:
    """An empty datagram, at which a server ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"", (address, 53))


Behave = Callable[[bytes, bool], bytes | None]


@contextlib.contextmanager
def name_server(namespace: Path, address: str, behave: Behave) -> Iterator[list[tuple[bytes, str]]]:
    """An upstream server; what it was asked, and by whom. `behave` is given a query and whether it came by TCP."""
    asked: list[tuple[bytes, str]] = []

    def sockets() -> tuple[socket.socket, socket.socket]:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((address, 53))
        return datagrams, socket.create_server((address, 53))

    datagrams, streams = within(namespace, sockets)

    def by_datagram() -> None:
        with contextlib.suppress(OSError):
            while True:
                query, client = datagrams.recvfrom(65535)
                if not query:
                    return
                asked.append((query, client[0]))
                if (said := behave(query, False)) is not None:
                    datagrams.sendto(said, client)

    def by_stream() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, client = streams.accept()
                with connection, connection.makefile("rb") as file:
                    query = file.read(int.from_bytes(file.read(2), "big"))
                    asked.append((query, client[0]))
                    if (said := behave(query, True)) is not None:
                        connection.sendall(struct.pack(">H", len(said)) + said)

    threads = [threading.Thread(target=work, daemon=True) for work in (by_datagram, by_stream)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        # A thread that waits in a system call does not mind that its socket is closed.
        streams.shutdown(socket.SHUT_RDWR)
        within(namespace, lambda: wake(address))
        for thread in threads:
            thread.join(5)
        datagrams.close()
        streams.close()
