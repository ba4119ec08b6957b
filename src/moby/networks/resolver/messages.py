"""This file is about DNS messages, as far as we read and write them ourselves (RFC 1035): no I/O.

What we do not answer is passed on as it came, so that only a query's head and its one question are read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

A, PTR, MX, AAAA, INTERNET = 1, 12, 15, 28, 1
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED = range(6)
TTL_S = 600
DATAGRAM, STREAM = 512, 65535

_HEAD = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")
_RESPONSE, _OPCODE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x7800, 0x0100, 0x0080
_TRUNCATED, _CODE = 0x0200, 0x000F
_LABEL_LIMIT, _NAME_LIMIT = 63, 255
_NIBBLES = 32
_POINTER_TO_QUESTION = b"\xc0\x0c"
_OPTIONS = b"\0\0\x29"


class Query(msgspec.Struct, frozen=True):
    """A question; `name` in lower case without the dot at its end, `section` the question's own bytes.

    `room` is how long an answer by datagram may be. With a `code` other than NO_ERROR it is no question that
    anybody could answer.
    """

    number: int
    flags: int
    name: str = ""
    kind: int = 0
    group: int = INTERNET
    section: bytes = b""
    room: int = DATAGRAM
    code: int = NO_ERROR


def read_query(data: bytes) -> Query | None:
    """What a client wants to know; None for what is not to be answered at all, such as a response."""
    if len(data) < _HEAD.size:
        return None
    number, flags, questions, answers, authorities, others = _HEAD.unpack_from(data)
    if flags & _RESPONSE:
        return None
    if flags & _OPCODE:
        return Query(number, flags, code=NOT_IMPLEMENTED)
    labels, position = [], _HEAD.size
    while position < len(data) and (length := data[position]):
        position += 1 + length
        if length > _LABEL_LIMIT or position - _HEAD.size > _NAME_LIMIT:
            return Query(number, flags, code=FORMAT_ERROR)
        labels.append(data[position - length : position])
    end = position + 5
    if questions != 1 or end > len(data):
        return Query(number, flags, code=FORMAT_ERROR)
    kind, group = struct.unpack_from(">HH", data, position + 1)
    room = DATAGRAM
    if others and not (answers or authorities) and data[end : end + 3] == _OPTIONS and len(data) >= end + 5:
        room = max(DATAGRAM, int.from_bytes(data[end + 3 : end + 5], "big"))
    name = b".".join(labels).decode("ascii", "replace").lower()
    return Query(number, flags, name, kind, group, data[_HEAD.size : end], room)


def answer(query: Query, records: Sequence[bytes], code: int = NO_ERROR, limit: int = STREAM) -> bytes:
    """An answer of ours: `records` are the data of records of the kind that was asked for.

    As many as the limit allows; if some are left out it says so, and the client asks again by TCP.
    """
    parts, size, count = [], _HEAD.size + len(query.section), 0
    for data in records:
        size += len(_POINTER_TO_QUESTION) + _RECORD.size + len(data)
        if size > limit:
            break
        parts += [_POINTER_TO_QUESTION, _RECORD.pack(query.kind, INTERNET, TTL_S, len(data)), data]
        count += 1
    flags = _RESPONSE | _RECURSION_AVAILABLE | (query.flags & (_RECURSION_DESIRED | _OPCODE)) | code
    if count < len(records):
        flags |= _TRUNCATED
    head = _HEAD.pack(query.number, flags, 1 if query.section else 0, count, 0, 0)
    return b"".join([head, query.section, *parts])


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
    """Is this a response to the query: the same number and question, and said to be one?"""
    asked = read_query(query)
    if asked is None or len(response) < _HEAD.size or response[:2] != query[:2] or not response[2] & 0x80:
        return False
    section = response[_HEAD.size : _HEAD.size + len(asked.section)]
    # Some servers leave the question out of what they refuse.
    return response[4:6] == b"\0\0" or section.lower() == asked.section.lower()


def has_failed(response: bytes) -> bool:
    """Does the server say that it cannot answer, or does not want to, so that another one is asked?"""
    return response[3] & _CODE in (SERVER_FAILURE, REFUSED)
