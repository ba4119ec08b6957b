"""This file is about hearing what others take from the kernel: devices, their addresses, packet filters."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from moby.host.netlink.requests import as_text, attributes, messages

_LINKS, _ADDRESSES4, _ADDRESSES6 = 0x1, 0x10, 0x100
_DELLINK, _DELADDR, _IFNAME = 17, 21, 3
_NETFILTER, _GROUP = 12, 7
_ADD_MEMBERSHIP, _SOL_NETLINK = 1, 270
_NFTABLES = 10 << 8
_DELETIONS = frozenset(_NFTABLES | kind for kind in (2, 5, 8, 11, 14))
_HEADER = struct.Struct("=IHHII")
_LINK_BODY, _ADDRESS_BODY, _FILTER_BODY = 16, struct.Struct("=BBBBi"), 4
_TABLE_NAME = 1
_LARGEST = 1 << 18
_RCVBUFFORCE, _ROOM = 33, 16 << 20
_ATTACH_FILTER = 26
# bpf(4): an instruction; those that are used here; where a message has its kind.
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x15, 0x06
_KIND_AT = 4


class Losses(NamedTuple):
    """What was taken: names of devices, indexes of devices that lost an address, names of tables.

    With `unknown` more was than could be told.
    """

    links: frozenset[str] = frozenset()
    addresses: frozenset[int] = frozenset()
    tables: frozenset[str] = frozenset()
    unknown: bool = False

    def __bool__(self) -> bool:
        return bool(self.links or self.addresses or self.tables or self.unknown)


class Watch:
    """Sockets that hear of losses in the namespace of the thread that made them. What we take does not count.

    `sockets` become readable; then `losses` tells.
    """

    def __init__(self) -> None:
        routes = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        filters = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER)
        _hear_only(routes, (_DELLINK, _DELADDR))
        routes.bind((0, _LINKS | _ADDRESSES4 | _ADDRESSES6))
        filters.bind((0, 0))
        with suppress(OSError):  # Without nftables there is nothing to hear.
            filters.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        self.sockets = (routes, filters)
        for source in self.sockets:
            # What does not fit is lost, and then everything has to be looked at: thousands of ports fit.
            with suppress(PermissionError):
                source.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _ROOM)
        self._own: frozenset[int] = frozenset()

    def losses(self) -> Losses:
        """All since the last call."""
        links: set[str] = set()
        indexes: set[int] = set()
        tables: set[str] = set()
        unknown = looked = False
        for source in self.sockets:
            while (data := _received(source)) is not None:
                unknown = unknown or not data
                for kind, sender, body in _messages(data):
                    if source is self.sockets[1] and kind in _DELETIONS:
                        if sender not in self._own and not looked:
                            # Once: with many files open it takes long.
                            self._own, looked = _own_ports(), True
                        if sender not in self._own:
                            tables.add(as_text(attributes(body[_FILTER_BODY:]).get(_TABLE_NAME, b"")))
                    elif source is self.sockets[0] and kind == _DELLINK:
                        links.add(as_text(attributes(body[_LINK_BODY:]).get(_IFNAME, b"")))
                    elif source is self.sockets[0] and kind == _DELADDR:
                        indexes.add(_ADDRESS_BODY.unpack_from(body)[4])
        return Losses(frozenset(links), frozenset(indexes), frozenset(tables), unknown)

    def close(self) -> None:
        """Hear no more."""
        for source in self.sockets:
            source.close()


def _hear_only(routes: socket.socket, kinds: Sequence[int]) -> None:
    """Have the kernel drop all other messages, of which one comes in each datagram (socket(7), bpf(4)).

    For every container that comes and goes there are a dozen, and each would wake us.
    """
    accept, drop = (_RETURN, 0, 0, 0xFFFFFFFF), (_RETURN, 0, 0, 0)
    # What is loaded is taken for the network's order of bytes.
    tests = [(_JUMP_IF_EQUAL, len(kinds) - at, 0, socket.htons(kind)) for at, kind in enumerate(kinds)]
    program = [(_LOAD_HALF, 0, 0, _KIND_AT), *tests, drop, accept]
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*each) for each in program))
    routes.setsockopt(
        socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
    )


def _received(source: socket.socket) -> bytes | None:
    """A datagram; None if there is none, empty if some were lost."""
    try:
        return source.recv(_LARGEST)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.ENOBUFS:
            return b""
        raise


def _messages(data: bytes) -> list[tuple[int, int, bytes]]:
    """Kind, sender and body of each message."""
    found, at = [], 0
    for kind, _, _, body in messages(data):
        size, _, _, _, sender = _HEADER.unpack_from(data, at)
        found.append((kind, sender, body))
        at += size + -size % 4
    return found


def _own_ports() -> frozenset[int]:
    """The addresses of this process's own sockets to the packet filter."""
    inodes = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for line in Path("/proc/thread-self/net/netlink").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 10 and fields[1] == str(_NETFILTER) and fields[9] in inodes:
            found.add(int(fields[2]))
    return frozenset(found)
