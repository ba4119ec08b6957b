"""This file is about protobuf on the wire: numbers of any length, and what stands in a message.

Monitors and logs need a few fields of a few messages; a library would weigh more than all of a monitor.
"""

from __future__ import annotations

from collections.abc import Iterator

_LONGEST = 10


def varint(value: int) -> bytes:
    """A number of 64 bits, seven in a byte, the lowest first."""
    if 0 <= value < 0x80:
        return b"%c" % value
    made = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a place, and the place after it. Raises ValueError if it has no end."""
    value = shift = 0
    for place in range(at, min(at + _LONGEST, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    raise ValueError("a number without an end")


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The tags of a message (a field's number, and its kind in three bits) with their values.

    Raises ValueError for what is no message.
    """
    at, size = 0, len(data)
    while at < size:
        tag, at = read_varint(data, at)
        match tag & 7:
            case 0:
                number, at = read_varint(data, at)
                yield tag, number
                continue
            case 1:
                length = 8
            case 2:
                length, at = read_varint(data, at)
            case 5:
                length = 4
            case kind:
                raise ValueError(f"a field of the unknown kind {kind}")
        if at + length > size:
            raise ValueError("a message that ends in a field")
        yield tag, data[at : at + length]
        at += length
