"""This file is about the frames that carry two output streams over one connection.

A frame is a byte for the stream (1 stdout, 2 stderr), three zero bytes, the payload's length as a big-endian
32-bit number, and the payload (Engine API, `ContainerAttach`, "Stream format").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from moby.core.logs import LogEntry, Stream

STREAMS: dict[Stream, int] = {"stdout": 1, "stderr": 2}
_HEADER = struct.Struct(">BxxxL")


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
    parts: list[bytes] = []
    pack = _HEADER.pack
    for entry in batch:
        text = entry.log
        if details:
            text = f"{_details(entry)} {text}"
        if timestamps:
            text = f"{_nanoseconds(entry.time)} {text}"
        payload = text.encode("utf-8", "surrogateescape")
        if multiplexed:
            parts.append(pack(1 if entry.stream == "stdout" else 2, len(payload)))
        parts.append(payload)
    return b"".join(parts)


def _details(entry: LogEntry) -> str:
    if not isinstance(entry.attrs, dict):
        return ""
    return ",".join(f"{key}={value}" for key, value in sorted(entry.attrs.items()))


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
