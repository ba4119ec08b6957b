"""This file is about what is said to the packet filter directly: tables and elements.

libnftables first looks at every table of the host, even to remove one: with hundreds of them that takes
longer than all the rest. The numbers are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import msgspec

from moby.host.netlink import Request, RoutingSocket, attribute, nested, text

_NETFILTER = 12
_SUBSYSTEM = 10
_BEGIN, _END = 16, 17
_GET_TABLE, _DELETE_TABLE, _NEW_ELEMENTS, _DELETE_ELEMENTS = (
    _SUBSYSTEM << 8 | kind for kind in (1, 2, 12, 14)
)
_CREATE = 0x400
_FAMILIES = {"ip": 2, "ip6": 10}
_NAME, _TABLE, _SET, _ELEMENTS = 1, 1, 2, 3
_ELEMENT, _KEY, _DATA, _VALUE = 1, 1, 2, 1
# An attribute has 16 bits for its length.
_AT_ONCE = 400
# A transaction is sent in one piece: a hundred thousand elements.
_ROOM = 16 << 20


class Element(msgspec.Struct, frozen=True):
    """A member of a set, or an entry of a map: each field padded to four bytes, numbers as on the wire."""

    key: bytes
    data: bytes = b""


class Direct:
    """A socket to the packet filter of the namespace that it was made in; for one thread after the other.

    It stays open: whoever watches the packet filter has to know that it is ours.
    """

    def __init__(self) -> None:
        self._socket = RoutingSocket(_NETFILTER, room=_ROOM)

    def close(self) -> None:
        """Free the socket."""
        self._socket.close()

    def has_table(self, family: str, table: str) -> bool:
        """Is there such a table?"""
        body = _header(family) + text(_NAME, table)
        return self._socket.get(_GET_TABLE, body, f"find table {table}") is not None

    def change(self, requests: Sequence[Request]) -> None:
        """All of it or nothing. Raises NotFound for a table, a set or an element, Conflict for an element."""
        if requests:
            mark = struct.pack(">BBH", 0, 0, _SUBSYSTEM)
            self._socket.transact(Request(_BEGIN, 0, mark), requests, Request(_END, 0, mark))


def delete_table(family: str, table: str) -> Request:
    """Remove a table with all that is in it."""
    return Request(_DELETE_TABLE, 0, _header(family) + text(_NAME, table), f"delete table {table}")


def add_elements(family: str, table: str, name: str, wanted: Sequence[Element]) -> Iterable[Request]:
    """Put elements into a set or map; those that are there are left."""
    return _elements(_NEW_ELEMENTS, _CREATE, (family, table, name), wanted)


def delete_elements(family: str, table: str, name: str, unwanted: Sequence[Element]) -> Iterable[Request]:
    """Take elements out, which have to be there."""
    return _elements(_DELETE_ELEMENTS, 0, (family, table, name), [Element(one.key) for one in unwanted])


def flush(family: str, table: str, name: str) -> Request:
    """Take all elements out."""
    return Request(_DELETE_ELEMENTS, 0, _place((family, table, name)), f"flush {table} {name}")


def _elements(
    kind: int, flags: int, place: tuple[str, str, str], all_: Sequence[Element]
) -> Iterable[Request]:
    for at in range(0, len(all_), _AT_ONCE):
        packed = nested(_ELEMENTS, *map(_packed, all_[at : at + _AT_ONCE]))
        yield Request(kind, flags, _place(place) + packed, f"elements of {place[1]} {place[2]}")


def _packed(one: Element) -> bytes:
    data = nested(_DATA, attribute(_VALUE, one.data)) if one.data else b""
    return nested(_ELEMENT, nested(_KEY, attribute(_VALUE, one.key)), data)


def _place(place: tuple[str, str, str]) -> bytes:
    family, table, name = place
    return _header(family) + text(_TABLE, table) + text(_SET, name)


def _header(family: str) -> bytes:
    return struct.pack(">BBH", _FAMILIES[family], 0, 0)
