"""This file is about the bytes of netlink messages: headers and attributes (linux/netlink.h)."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

REQUEST, MULTI, ACK, ROOT, MATCH = 0x1, 0x2, 0x4, 0x100, 0x200
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400
DUMP = ROOT | MATCH
NESTED = 0x8000

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")
_U16 = struct.Struct("=H")
_PADDING = tuple(bytes(-size % 4) for size in range(4))


class Request(NamedTuple):
    """One message to the kernel; `what` says for an error what was being tried."""

    kind: int
    flags: int
    body: bytes
    what: str = ""

    def pack(self, sequence: int, *, acknowledged: bool = False) -> bytes:
        """The message with its header; `acknowledged` asks for an answer to a change."""
        size = HEADER.size + len(self.body)
        flags = self.flags | REQUEST | (ACK if acknowledged else 0)
        return HEADER.pack(size, self.kind, flags, sequence, 0) + self.body + bytes(-size % 4)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + _PADDING[size & 3]


# The rules of a bridge are made of hundreds of these, and nearly all of them are those of any other bridge.
@lru_cache(1024)
def text(kind: int, value: str) -> bytes:
    """A string attribute."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """A 32-bit attribute in the machine's byte order."""
    return attribute(kind, _U32.pack(value))


@lru_cache(1024)
def ordered(kind: int, value: int) -> bytes:
    """A 32-bit attribute with its first byte first; a negative number as its complement."""
    return attribute(kind, (value & 0xFFFFFFFF).to_bytes(4, "big"))


def short(kind: int, value: int) -> bytes:
    """A 16-bit attribute in the machine's byte order."""
    return attribute(kind, _U16.pack(value))


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NESTED, b"".join(parts))


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in `data` by kind; of a kind that comes twice, the last."""
    found = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[at + _ATTRIBUTE.size : at + size]
        at += size + -size % 4
    return found


def as_number(value: bytes) -> int:
    """The number in an attribute."""
    return int.from_bytes(value[:4], sys.byteorder)


def as_text(value: bytes) -> str:
    """The string in an attribute."""
    return value.rstrip(b"\0").decode(errors="replace")


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The messages in one datagram: kind, flags, sequence and body of each."""
    at = 0
    while at + HEADER.size <= len(data):
        size, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
        if size < HEADER.size:
            break
        yield kind, flags, sequence, data[at + HEADER.size : at + size]
        at += size + -size % 4
