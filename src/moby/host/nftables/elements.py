"""This file is about the elements of sets and maps, thousands at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from moby.host.netlink import Request, attribute, nested, text
from moby.host.nftables.expressions import CHAIN, JUMP, verdict
from moby.host.nftables.objects import SUBSYSTEM, message

_NEW_ELEMENTS, _DELETE_ELEMENTS = SUBSYSTEM << 8 | 12, SUBSYSTEM << 8 | 14
_CREATE = 0x400
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_ELEMENT, _KEY, _DATA, _VALUE = 1, 1, 2, 1
# An attribute has 16 bits for its length.
_AT_ONCE = 400


class Element(msgspec.Struct, frozen=True):
    """A member of a set, or an entry of a map: each field padded to four bytes, numbers as on the wire.

    In a map of verdicts `chain` is where to jump to.
    """

    key: bytes
    data: bytes = b""
    chain: str = ""


def interface(name: str) -> bytes:
    """The key that stands for an interface."""
    return name.encode().ljust(16, b"\0")


def add_elements(family: str, table: str, name: str, wanted: Sequence[Element]) -> Iterable[Request]:
    """Put elements into a set or map; those that are there are left."""
    return _elements(_NEW_ELEMENTS, _CREATE, (family, table, name), wanted)


def delete_elements(family: str, table: str, name: str, unwanted: Sequence[Element]) -> Iterable[Request]:
    """Take elements out, which have to be there."""
    return _elements(_DELETE_ELEMENTS, 0, (family, table, name), [Element(one.key) for one in unwanted])


def flush(family: str, table: str, name: str) -> Request:
    """Take all elements out."""
    place = text(_TABLE, table), text(_SET, name)
    return message(_DELETE_ELEMENTS, family, *place, what=f"flush {table} {name}")


def _elements(
    kind: int, flags: int, place: tuple[str, str, str], all_: Sequence[Element]
) -> Iterable[Request]:
    family, table, name = place
    for at in range(0, len(all_), _AT_ONCE):
        packed = nested(_ELEMENTS, *map(_packed, all_[at : at + _AT_ONCE]))
        parts = text(_TABLE, table), text(_SET, name), packed
        yield message(kind, family, *parts, flags=flags, what=f"elements of {table} {name}")


def _packed(one: Element) -> bytes:
    if one.chain:
        data = nested(_DATA, verdict(JUMP, text(CHAIN, one.chain)))
    else:
        data = nested(_DATA, attribute(_VALUE, one.data)) if one.data else b""
    return nested(_ELEMENT, nested(_KEY, attribute(_VALUE, one.key)), data)
