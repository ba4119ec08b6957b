"""This file is about ttrpc's frames (sans-io): bytes in, requests and answers out, and the other way round.

A frame is a header (length, stream, kind, flags) and a protobuf message. Only calls with one request and one
answer are spoken. https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from moby.monitor.shim.protobuf import Fields, message

_HEADER = struct.Struct(">IIBB")
_REQUEST, _RESPONSE = 1, 2
_LARGEST = 4 << 20

OK = 0
UNKNOWN = 2
INVALID_ARGUMENT = 3
NOT_FOUND = 5
ALREADY_EXISTS = 6
FAILED_PRECONDITION = 9
UNIMPLEMENTED = 12


class Request(NamedTuple):
    """A call, as the server gets it."""

    stream: int
    service: str
    method: str
    payload: bytes


class Response(NamedTuple):
    """The answer, as the client gets it; `code` is gRPC's."""

    stream: int
    code: int
    words: str
    payload: bytes


class Frames:
    """What has come over one connection; a frame that has not come whole is waited for."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Request | Response]:
        """The messages that are whole by now. Raises ValueError for what is no ttrpc."""
        self._data += data
        while len(self._data) >= _HEADER.size:
            length, stream, kind, _ = _HEADER.unpack_from(self._data)
            if length > _LARGEST:
                raise ValueError(f"a frame of {length} bytes")
            if len(self._data) < _HEADER.size + length:
                return
            body = bytes(self._data[_HEADER.size : _HEADER.size + length])
            del self._data[: _HEADER.size + length]
            found = Fields(body)
            if kind == _REQUEST:
                yield Request(stream, found.text(1), found.text(2), found.data(3))
            elif kind == _RESPONSE:
                status = Fields(found.data(1))
                yield Response(stream, status.number(1), status.text(2), found.data(2))


def request(stream: int, service: str, method: str, payload: bytes) -> bytes:
    """A call; a client's streams have odd numbers."""
    return _frame(stream, _REQUEST, message((1, service), (2, method), (3, payload)))


def response(stream: int, payload: bytes) -> bytes:
    """What was asked for."""
    return _frame(stream, _RESPONSE, message((2, payload)))


def failure(stream: int, code: int, words: str) -> bytes:
    """Why it cannot be done."""
    return _frame(stream, _RESPONSE, message((1, message((1, code), (2, words)))))


def _frame(stream: int, kind: int, body: bytes) -> bytes:
    return _HEADER.pack(len(body), stream, kind, 0) + body
