"""This file is about messages of protobuf: the few kinds of fields that shims and containerd exchange."""

from __future__ import annotations

from collections.abc import Sequence

from moby.core.protobuf import fields, varint

_VARINT, _BYTES = 0, 2


class Fields:
    """A message taken apart. A field that is not there is empty, as proto3 has it; unknown ones are ignored.

    Raises ValueError for what is no message.
    """

    def __init__(self, data: bytes) -> None:
        self._fields: dict[int, list[int | bytes]] = {}
        for tag, value in fields(data):
            self._fields.setdefault(tag >> 3, []).append(value)

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


def message(*values: tuple[int, int | str | bytes]) -> bytes:
    """Fields in their order; what is empty is left out, as proto3 has it."""
    made = bytearray()
    for number, value in values:
        if isinstance(value, int):
            if value:
                made += varint(number << 3 | _VARINT) + varint(value)
        elif value:
            data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
            made += varint(number << 3 | _BYTES) + varint(len(data)) + data
    return bytes(made)


def any_message(kind: str, value: bytes) -> bytes:
    """A message of a kind that it names itself."""
    return message((1, kind), (2, value))


def timestamp(nanoseconds: int) -> bytes:
    """A moment; none if it is 0."""
    return message((1, nanoseconds // 1_000_000_000), (2, nanoseconds % 1_000_000_000))
