"""This file is about tables, chains, sets and rules as the packet filter is told of them.

The numbers are those of linux/netfilter/nf_tables.h; those inside messages are big-endian.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import Literal

from moby.host.netlink import Request, attribute, nested, ordered, text
from moby.host.nftables.expressions import Expression

NETFILTER, SUBSYSTEM = 12, 10
GET_TABLE = SUBSYSTEM << 8 | 1
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _DELETE_CHAIN, _NEW_RULE, _DELETE_RULE, _NEW_SET, _DELETE_SET = (
    SUBSYSTEM << 8 | kind for kind in (0, 2, 3, 5, 6, 8, 9, 11)
)
_CREATE, _APPEND = 0x400, 0x800
_FAMILIES = {"ip": 2, "ip6": 10}
_HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
_NAME, _TABLE_FLAGS = 1, 2
_TABLE = 1
_CHAIN_NAME, _HOOK, _POLICY, _TYPE, _HOOK_NUMBER, _HOOK_PRIORITY = 3, 4, 5, 7, 1, 2
_SET_NAME, _FLAGS, _KEY_TYPE, _KEY_SIZE, _DATA_TYPE, _DATA_SIZE, _SET_ID, _MAP = 2, 3, 4, 5, 6, 7, 10, 8
_CHAIN, _EXPRESSIONS = 2, 4

Kind = Literal["ipv4_addr", "ipv6_addr", "inet_proto", "inet_service", "ifname", "verdict"]
# nft's own numbers of what an element may be made of, by which it lists them, and sizes in bytes.
_KINDS: dict[Kind, tuple[int, int]] = {
    "ipv4_addr": (7, 4),
    "ipv6_addr": (8, 16),
    "inet_proto": (12, 1),
    "inet_service": (13, 2),
    "ifname": (41, 16),
    "verdict": (0xFFFFFF00, 0),
}
_KIND_BITS = 6
# What nft leaves itself with a set: that keys are in the host's order, and names not read backwards.
_USER_DATA, _AS_TEXT = 13, bytes([0, 4]) + (1).to_bytes(4, sys.byteorder)
Hook = tuple[Literal["filter", "nat"], Literal["prerouting", "forward", "output", "postrouting"], int]


def message(
    kind: int, family: str, *attributes: bytes, flags: int = 0, what: str = "", resource: int = 0
) -> Request:
    """A message to the packet filter about something of a family."""
    header = struct.pack(">BBH", _FAMILIES.get(family, 0), 0, resource)
    return Request(kind, flags, header + b"".join(attributes), what)


def find_table(table: str) -> bytes:
    """What to look for with `GET_TABLE`."""
    return text(_NAME, table)


def add_table(family: str, table: str) -> Request:
    """Make a table; no error for one that is there."""
    body = text(_NAME, table), ordered(_TABLE_FLAGS, 0)
    return message(_NEW_TABLE, family, *body, what=f"add table {table}")


def delete_table(family: str, table: str) -> Request:
    """Remove a table with all that is in it."""
    return message(_DELETE_TABLE, family, text(_NAME, table), what=f"delete table {table}")


def add_chain(family: str, table: str, chain: str, hook: Hook | None = None) -> Request:
    """Make a chain; no error for one that is there.

    `hook` is its type, what calls it, and its priority; whatever gets to its end is accepted.
    """
    parts = [text(_TABLE, table), text(_CHAIN_NAME, chain)]
    if hook is not None:
        kind, place, priority = hook
        called = ordered(_HOOK_NUMBER, _HOOKS[place]), ordered(_HOOK_PRIORITY, priority)
        parts += [text(_TYPE, kind), ordered(_POLICY, 1), nested(_HOOK, *called)]
    return message(_NEW_CHAIN, family, *parts, flags=_CREATE, what=f"add chain {table} {chain}")


def flush_chain(family: str, table: str, chain: str) -> Request:
    """Take all rules out of a chain."""
    place = text(_TABLE, table), text(_CHAIN, chain)
    return message(_DELETE_RULE, family, *place, what=f"flush chain {table} {chain}")


def delete_chain(family: str, table: str, chain: str) -> Request:
    """Remove a chain that is empty, and that nobody jumps to."""
    place = text(_TABLE, table), text(_CHAIN_NAME, chain)
    return message(_DELETE_CHAIN, family, *place, what=f"delete chain {table} {chain}")


def add_rule(family: str, table: str, chain: str, rule: Sequence[Expression]) -> Request:
    """Put a rule behind those that are in the chain."""
    parts = text(_TABLE, table), text(_CHAIN, chain), nested(_EXPRESSIONS, *(one.packed for one in rule))
    what = f"add rule {table} {chain} {' '.join(one.said for one in rule)}"
    return message(_NEW_RULE, family, *parts, flags=_CREATE | _APPEND, what=what)


def add_set(
    family: str, table: str, name: str, key: Sequence[Kind], data: Sequence[Kind] = (), number: int = 1
) -> Request:
    """Make a set, or with `data` a map; no error for one that is there.

    `number` tells it from the other sets that are made in the same transaction.
    """
    parts = [
        text(_TABLE, table),
        text(_SET_NAME, name),
        ordered(_FLAGS, _MAP if data else 0),
        ordered(_KEY_TYPE, _type(key)),
        ordered(_KEY_SIZE, _size(key)),
        ordered(_SET_ID, number),
    ]
    if key == ("ifname",):
        parts.append(attribute(_USER_DATA, _AS_TEXT))
    if data:
        parts += [ordered(_DATA_TYPE, _type(data)), ordered(_DATA_SIZE, _size(data))]
    return message(_NEW_SET, family, *parts, flags=_CREATE, what=f"add set {table} {name}")


def delete_set(family: str, table: str, name: str) -> Request:
    """Remove a set or map that no rule looks at."""
    place = text(_TABLE, table), text(_SET_NAME, name)
    return message(_DELETE_SET, family, *place, what=f"delete set {table} {name}")


def _type(kinds: Sequence[Kind]) -> int:
    found = 0
    for kind in kinds:
        found = found << _KIND_BITS | _KINDS[kind][0]
    return found


def _size(kinds: Sequence[Kind]) -> int:
    """Each field takes whole words."""
    return sum(_KINDS[kind][1] + -_KINDS[kind][1] % 4 for kind in kinds)
