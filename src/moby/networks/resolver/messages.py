"""This file is about DNS messages, as far as we read and write them ourselves (RFC 1035): no I/O.

What we do not answer is passed on as it came, so that only a query's head and its one question are read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

A, PTR, AAAA, INTERNET = 1, 12, 28, 1
NO_ERROR, SERVER_FAILURE, NAME_ERROR = 0, 2, 3
TTL_S = 600
UDP_LIMIT = 512

_HEAD = struct.Struct(">HHHHHH")
_RESPONSE, _OPCODE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x7800, 0x0100, 0x0080
_TRUNCATED = 0x0200
_LABEL_LIMIT, _NAME_LIMIT = 63, 255
_NIBBLES = 32
_POINTER_TO_QUESTION = b"\xc0\x0c"


@dataclass(frozen=True, slots=True)
class Query:
    """A question; `name` in lower case without the dot at its end, `section` the question's own bytes."""

    number: int
    flags: int
    name: str
    kind: int
    section: bytes


def read_query(data: bytes) -> Query | None:
    """A query with one question about the Internet; None for everything else."""
    if len(data) < _HEAD.size:
        return None
    number, flags, questions, *_ = _HEAD.unpack_from(data)
    if flags & (_RESPONSE | _OPCODE) or questions != 1:
        return None
    labels, position = [], _HEAD.size
    while True:
        if position >= len(data):
            return None
        length = data[position]
        position += 1
        if length == 0:
            break
        if length > _LABEL_LIMIT or position + length > len(data):
            return None
        labels.append(data[position : position + length])
        position += length
        if position - _HEAD.size > _NAME_LIMIT:
            return None
    if position + 4 > len(data):
        return None
    kind, group = struct.unpack_from(">HH", data, position)
    if group != INTERNET:
        return None
    name = b".".join(labels).decode("ascii", "replace").lower()
    return Query(number, flags, name, kind, data[_HEAD.size : position + 4])


def answer(query: Query, records: Sequence[bytes], code: int = NO_ERROR) -> bytes:
    """An answer of ours: `records` are the data of records of the kind that was asked for."""
    flags = _RESPONSE | _RECURSION_AVAILABLE | (query.flags & _RECURSION_DESIRED) | code
    parts = [_HEAD.pack(query.number, flags, 1, len(records), 0, 0), query.section]
    for data in records:
        parts.append(_POINTER_TO_QUESTION)
        parts.append(struct.pack(">HHIH", query.kind, INTERNET, TTL_S, len(data)))
        parts.append(data)
    return b"".join(parts)


def truncated(query: Query) -> bytes:
    """Says that the answer is too long for a datagram: the client asks again by TCP."""
    flags = _RESPONSE | _RECURSION_AVAILABLE | _TRUNCATED | (query.flags & _RECURSION_DESIRED)
    return _HEAD.pack(query.number, flags, 1, 0, 0, 0) + query.section


def address_data(text: str) -> bytes:
    """The data of an A or AAAA record."""
    return ip_address(text).packed


def name_data(name: str) -> bytes:
    """The data of a PTR record."""
    labels = [label.encode("ascii", "replace")[:_LABEL_LIMIT] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def reverse_address(name: str) -> str:
    """The address that a name below in-addr.arpa or ip6.arpa stands for; empty for others."""
    if name.endswith(".in-addr.arpa"):
        text = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
    elif name.endswith(".ip6.arpa"):
        digits = name.removesuffix(".ip6.arpa").split(".")
        if len(digits) != _NIBBLES or not all(len(digit) == 1 for digit in digits):
            return ""
        plain = "".join(reversed(digits))
        text = ":".join(plain[at : at + 4] for at in range(0, _NIBBLES, 4))
    else:
        return ""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def answers(response: bytes, query: bytes) -> bool:
    """Is this a response to the query: the same number, and said to be one?"""
    return len(response) >= _HEAD.size and response[:2] == query[:2] and bool(response[2] & 0x80)
