"""Protobuf on the wire, against what protobuf's own library writes."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from moby.core.protobuf import fields, read_varint, varint


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 1 << 32, (1 << 63) - 1, -1, -(1 << 63)])
def test_numbers_are_written_as_others_write_them(value: int) -> None:
    theirs = Timestamp(seconds=value).SerializeToString()
    assert theirs == (b"\x08" + varint(value) if value else b"")
    assert read_varint(b"?" + varint(value), 1) == (value % (1 << 64), 1 + len(varint(value)))


def test_fields_come_with_their_tags() -> None:
    data = StringValue(value="text").SerializeToString() + Timestamp(nanos=300).SerializeToString()
    assert list(fields(data + b"\x19" + bytes(8) + b"\x25" + bytes(4))) == [
        (0x0A, b"text"),
        (0x10, 300),
        (0x19, bytes(8)),
        (0x25, bytes(4)),
    ]
    assert list(fields(b"")) == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",
        b"\x08" + b"\xff" * 11,
        b"\x0a\x05abc",
        b"\x0a",
        b"\x0b",
        b"\x09" + bytes(7),
        b"\x0d" + bytes(3),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^a (number|field|message) "):
        list(fields(data))
