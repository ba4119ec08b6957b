"""This file is about the entries of the `local` log: a protobuf message between two copies of its length.

    message LogEntry {
      string source = 1; int64 time_nano = 2; bytes line = 3; bool partial = 4;
      PartialLogEntryMetadata partial_log_metadata = 5;  // bool last = 1; string id = 2; int32 ordinal = 3
      repeated LogAttr attrs = 6;                        // string key = 1; string value = 2
    }

The lengths are big-endian 32-bit numbers. dockerd reads and writes the same files.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import msgspec

from moby.core.logs import LogEntry, Stream
from moby.core.protobuf import fields, read_varint, varint
from moby.logs.lines import Message, Partial

_LENGTH = struct.Struct(">I")
AROUND = 2 * _LENGTH.size
LARGEST = 1_000_000
_SOURCES: Mapping[bytes, Stream] = {b"\x0a\x06stdout\x10": "stdout", b"\x0a\x06stderr\x10": "stderr"}
_SOURCE, _TIME, _LINE, _PARTIAL, _METADATA, _ATTRIBUTE = 0x0A, 0x10, 0x1A, 0x20, 0x2A, 0x32


class Torn(ValueError):
    """Bytes that are no entry."""


def attributes_field(attributes: Mapping[str, str]) -> bytes:
    """The attributes that go along with every entry, encoded once."""
    found = bytearray()
    for key, value in sorted(attributes.items()):
        pair = _bytes(0x0A, key.encode()) + _bytes(0x12, value.encode())
        found += _bytes(_ATTRIBUTE, pair)
    return bytes(found)


class _Around(dict[int, tuple[bytes, bytes]]):
    """What stands before and after a line of a length; all else is the same for the lines of a chunk."""

    def __init__(self, head: bytes, tail: bytes) -> None:
        super().__init__()
        self._head, self._tail = head, tail

    def __missing__(self, size: int) -> tuple[bytes, bytes]:
        field = b"%c%b" % (_LINE, varint(size)) if size else b""
        length = _LENGTH.pack(len(self._head) + len(field) + size + len(self._tail))
        made = self[size] = (length + self._head + field, self._tail + length)
        return made


def encode_lines(lines: Sequence[bytes], stream: Stream, time_ns: int, attributes: bytes = b"") -> bytes:
    """Whole lines of one stream and moment as entries, one after the other."""
    around = _Around(_head(stream, time_ns), attributes)
    pieces: list[bytes] = []
    add = pieces.extend
    for line in lines:
        before, after = around[len(line)]
        add((before, line, after))
    return b"".join(pieces)


def encode(messages: Iterable[Message], attributes: bytes = b"", *, closed: bool = True) -> bytes:
    """Messages as entries, one after the other; `closed` by the second copy of their lengths, or not."""
    pieces: list[bytes] = []
    for stream, line, time_ns, partial in messages:
        tail = attributes
        if partial is not None:
            tail = _number(_PARTIAL, 1) + _bytes(_METADATA, _metadata(partial)) + attributes
        before, after = _Around(_head(stream, time_ns), tail)[len(line)]
        pieces += (before, line, after if closed else after[: -_LENGTH.size])
    return b"".join(pieces)


def _head(stream: Stream, time_ns: int) -> bytes:
    return _bytes(_SOURCE, stream.encode()) + _number(_TIME, time_ns)


def _metadata(partial: Partial) -> bytes:
    return (
        _number(0x08, int(partial.last)) + _bytes(0x12, partial.id.encode()) + _number(0x18, partial.ordinal)
    )


def _bytes(tag: int, value: bytes) -> bytes:
    return b"%c%b%b" % (tag, varint(len(value)), value) if value else b""


def _number(tag: int, value: int) -> bytes:
    return b"%c%b" % (tag, varint(value)) if value else b""


def boundaries(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the whole entries in `data` begin and end. Raises Torn where none can begin."""
    at, size = 0, len(data)
    while at + AROUND <= size:
        (length,) = _LENGTH.unpack_from(data, at)
        if length > LARGEST:
            raise Torn(at)
        end = at + AROUND + length
        if end > size:
            return
        if data[end - 4 : end] != data[at : at + 4]:
            raise Torn(at)
        yield at, end
        at = end


def cut(data: bytes) -> Iterator[bytes]:
    """Whole entries, one by one."""
    for start, end in boundaries(data):
        yield data[start:end]


class Decoder:
    """Entries as `docker logs` wants them."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""
        self._moment: tuple[bytes, str] = (b"", "")
        self._attributes: dict[bytes, Mapping[str, str]] = {}

    def decode(self, body: bytes) -> LogEntry:
        """One entry, without the lengths around it. Raises Torn."""
        try:
            return self._usual(body) or self._any(body)
        except ValueError as error:
            raise Torn(str(error)) from error

    def _usual(self, body: bytes) -> LogEntry | None:
        """Nearly all are like this: a source, a time of these years, a whole line, known attributes."""
        if len(body) < 21 or body[18] != _LINE:
            return None
        stream = _SOURCES.get(body[:9])
        size, start = body[19], 20
        if size >= 0x80:
            size, start = size & 0x7F | body[20] << 7, 21
        end = start + size
        rest = body[end:]
        attributes = self._attributes.get(rest) if rest else msgspec.UNSET
        if stream is None or attributes is None or body[17] >= 0x80 or size > 0x3FFF or end > len(body):
            return None
        known, stamp = self._moment
        if known != body[9:18]:
            if min(body[9:17]) < 0x80:
                return None
            known = body[9:18]
            stamp = self._stamp(read_varint(known, 0)[0])
            self._moment = known, stamp
        return LogEntry(f"{body[start:end].decode('utf-8', 'surrogateescape')}\n", stream, stamp, attributes)

    def _any(self, body: bytes) -> LogEntry:
        stream, moment, line, attributes = "stdout", 0, b"", b""
        partial = last = False
        for tag, value in fields(body):
            if tag == _LINE and isinstance(value, bytes):
                line = value
            elif tag == _SOURCE and isinstance(value, bytes):
                stream = value.decode("utf-8", "replace")
            elif tag == _TIME and isinstance(value, int):
                moment = value
            elif tag == _METADATA and isinstance(value, bytes):
                last = dict(fields(value)).get(0x08, 0) == 1
            elif tag == _PARTIAL:
                partial = bool(value)
            elif tag == _ATTRIBUTE and isinstance(value, bytes):
                attributes += _bytes(_ATTRIBUTE, value)
        text = line.decode("utf-8", "surrogateescape")
        return LogEntry(
            text if partial and not last else f"{text}\n",
            cast("Stream", stream if stream == "stderr" else "stdout"),
            self._stamp(moment),
            self._mapping(attributes) if attributes else msgspec.UNSET,
        )

    def _stamp(self, moment: int) -> str:
        second, nanosecond = divmod(moment, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{nanosecond:09d}Z"

    def _mapping(self, encoded: bytes) -> Mapping[str, str]:
        """Every entry of a log has the same ones."""
        found = self._attributes.get(encoded)
        if found is None:
            found = {}
            for _, pair in fields(encoded):
                parts = dict(fields(pair)) if isinstance(pair, bytes) else {}
                found[_text(parts.get(0x0A))] = _text(parts.get(0x12))
            self._attributes = {encoded: found}
        return found


def _text(value: bytes | int | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
