"""This file is about the frames that carry two output streams over one connection.

A frame is a byte for the stream (1 stdout, 2 stderr), three zero bytes, the payload's length as a big-endian
32-bit number, and the payload (Engine API, `ContainerAttach`, "Stream format").
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from moby.core.logs import LogEntry, Stream

STREAMS: dict[Stream, int] = {"stdout": 1, "stderr": 2}
_HEADER = struct.Struct(">BxxxL")
T = TypeVar("T")

_KNOWN_LENGTHS = 1 << 15


class _Headers(dict[int, T]):
    """The headers of one stream by payload length; those of usual lengths are made once."""

    def __init__(self, number: int, shape: Callable[[bytes], T]) -> None:
        super().__init__()
        self._number = number
        self._shape = shape

    def __missing__(self, length: int) -> T:
        made = self._shape(_HEADER.pack(self._number, length))
        if length < _KNOWN_LENGTHS:
            self[length] = made
        return made


_KNOWN: dict[Stream, _Headers[bytes]] = {
    stream: _Headers(number, bytes) for stream, number in STREAMS.items()
}
# A character for each byte.
_KNOWN_TEXTS: dict[Stream, _Headers[str]] = {
    stream: _Headers(number, lambda header: header.decode("latin-1")) for stream, number in STREAMS.items()
}


def frame(stream: Stream, payload: bytes) -> bytes:
    """One frame."""
    return _HEADER.pack(STREAMS[stream], len(payload)) + payload


def header(stream: Stream, length: int) -> bytes:
    """The eight bytes before a payload of `length` bytes."""
    return _HEADER.pack(STREAMS[stream], length)


def frames(
    batch: Sequence[LogEntry], *, multiplexed: bool = True, timestamps: bool = False, details: bool = False
) -> bytes:
    """Entries as `docker logs` sends them: a frame an entry, or plain text if not `multiplexed`."""
    if not batch:
        return b""
    texts = [entry.log for entry in batch]
    if details:
        texts = [f"{_details(entry)} {text}" for entry, text in zip(batch, texts, strict=True)]
    if timestamps:
        texts = [f"{_nanoseconds(entry.time)} {text}" for entry, text in zip(batch, texts, strict=True)]
    if not multiplexed:
        return "".join(texts).encode("utf-8", "surrogateescape")
    streams = [entry.stream for entry in batch]
    if "".join(texts).isascii() and streams.count(streams[0]) == len(streams):
        return _plain(streams[0], texts)
    parts: list[bytes] = []
    for stream, text in zip(streams, texts, strict=True):
        payload = text.encode("utf-8", "surrogateescape")
        parts += (_KNOWN[stream][len(payload)], payload)
    return b"".join(parts)


def _plain(stream: Stream, texts: Sequence[str]) -> bytes:
    """Texts of one stream and of ASCII alone, as most are: encoded all at once, headers among them."""
    parts = [""] * (2 * len(texts))
    parts[::2] = map(_KNOWN_TEXTS[stream].__getitem__, map(len, texts))
    parts[1::2] = texts
    return "".join(parts).encode("latin-1")


class _Attribute(msgspec.Struct, rename="pascal"):
    key: str
    value: str


class _Line(msgspec.Struct, rename="pascal", omit_defaults=True):
    line: str
    source: Stream
    timestamp: str
    attrs: list[_Attribute] = []


def json_lines(batch: Sequence[LogEntry], *, details: bool = False, prefix: bytes = b"") -> bytes:
    """Entries as objects, one a line with `prefix` before each (RFC 7464 has a record separator there)."""
    lines = []
    for entry in batch:
        # Bytes that are no text are no JSON either.
        text = entry.log.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        line = _Line(text, entry.stream, entry.time)
        if details and isinstance(entry.attrs, dict):
            line.attrs = [_Attribute(key, value) for key, value in sorted(entry.attrs.items())]
        lines.append(line)
    if not prefix:
        return msgspec.json.Encoder().encode_lines(lines)
    return b"".join(prefix + msgspec.json.encode(line) + b"\n" for line in lines)


def _details(entry: LogEntry) -> str:
    if not isinstance(entry.attrs, dict):
        return ""
    from urllib.parse import quote_plus

    return ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(entry.attrs.items()))


def _nanoseconds(time: str) -> str:
    """A time stamp with all nine digits, as docker's clients show it."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"


class Deframer:
    """Takes bytes as they come and gives whole frames; for clients and tests."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """The frames that `data` completes."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            number, length = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield ("stderr" if number == 2 else "stdout"), payload
