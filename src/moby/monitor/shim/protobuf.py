"""This file is about protobuf on the wire: the few kinds of fields that shims and containerd exchange."""

from __future__ import annotations

from collections.abc import Sequence

_VARINT, _BYTES = 0, 2


class Fields:
    """A message taken apart. A field that is not there is empty, as proto3 has it; unknown ones are ignored.

    Raises ValueError for what is no message.
    """

    def __init__(self, data: bytes) -> None:
        self._fields: dict[int, list[int | bytes]] = {}
        at = 0
        while at < len(data):
            key, at = _varint(data, at)
            value: int | bytes
            match key & 7:
                case 0:
                    value, at = _varint(data, at)
                case 2:
                    length, at = _varint(data, at)
                    value, at = data[at : at + length], at + length
                case 1:
                    value, at = data[at : at + 8], at + 8
                case 5:
                    value, at = data[at : at + 4], at + 4
                case kind:
                    raise ValueError(f"a field of the unknown kind {kind}")
            if at > len(data):
                raise ValueError("a message that ends in a field")
            self._fields.setdefault(key >> 3, []).append(value)

    def number(self, field: int) -> int:
        """A number, or a truth."""
        value = self._fields.get(field, [0])[-1]
        return value if isinstance(value, int) else 0

    def data(self, field: int) -> bytes:
        """Bytes, or a message."""
        value = self._fields.get(field, [b""])[-1]
        return value if isinstance(value, bytes) else b""

    def text(self, field: int) -> str:
        """A string."""
        return self.data(field).decode(errors="surrogateescape")

    def every(self, field: int) -> Sequence[bytes]:
        """A field that may come several times."""
        return [value for value in self._fields.get(field, []) if isinstance(value, bytes)]


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Fields in their order; what is empty is left out, as proto3 has it."""
    made = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            if value:
                made += _encoded(number << 3 | _VARINT) + _encoded(value)
        elif value:
            data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
            made += _encoded(number << 3 | _BYTES) + _encoded(len(data)) + data
    return bytes(made)


def any_message(kind: str, value: bytes) -> bytes:
    """A message of a kind that it names itself."""
    return message((1, kind), (2, value))


def timestamp(nanoseconds: int) -> bytes:
    """A moment; none if it is 0."""
    return message((1, nanoseconds // 1_000_000_000), (2, nanoseconds % 1_000_000_000))


def _encoded(value: int) -> bytes:
    made = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number without an end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
