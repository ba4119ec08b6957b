"""This file is about talking to the kernel over a routing socket: batches of changes, and dumps."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from moby.host.files import translated
from moby.host.netlink.requests import DUMP, Request, as_text, attributes, messages

_ERROR, _DONE = 2, 3
# The sequence number of what stands around a transaction.
_AROUND = 0
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_ACK_TLVS = 0x200
_SNDBUFFORCE = 32
_REPLY_HEADER = 20


class RoutingSocket:
    """A socket that belongs to the network namespace of the thread that made it, whichever thread uses it.

    `family` is the netlink family: routing, unless another is asked for. `room` is how long what is sent in
    one piece may be, where the usual 200 KB are too little.
    """

    def __init__(self, family: int = socket.NETLINK_ROUTE, room: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        if room:
            self._socket.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, room)
        self._socket.settimeout(10)
        self._sequence = 0

    def change(self, requests: Sequence[Request]) -> None:
        """Send every request in one go; the kernel takes them in order, and goes on after one that fails.

        Raises the first one's error as ours, with what the kernel says about it.
        """
        if not requests:
            return
        self._change(requests)

    def transact(self, begin: Request, requests: Sequence[Request], end: Request) -> None:
        """Send every request between a begin and an end, as the packet filter has it: all or nothing.

        Raises the first one's error as ours.
        """
        self._change(requests, begin, end)

    def _change(self, requests: Sequence[Request], *around: Request) -> None:
        first = self._sequence + 1
        packed = [request.pack(first + i, acknowledged=True) for i, request in enumerate(requests)]
        self._sequence += len(requests)
        if around:
            packed = [around[0].pack(_AROUND), *packed, around[1].pack(_AROUND)]
        self._socket.send(b"".join(packed))
        failure: tuple[int, Exception] | None = None
        waiting = len(requests)
        while waiting:
            for kind, flags, sequence, body in messages(self._socket.recv(65536)):
                if kind == _ERROR and sequence == _AROUND and around:
                    # Said of all of it, which is not looked at then.
                    refused = _error(body, flags, requests[0].what)
                    if refused is not None:
                        raise refused
                if kind != _ERROR or not first <= sequence < first + len(requests):
                    continue
                waiting -= 1
                error = _error(body, flags, requests[sequence - first].what)
                if error is not None and (failure is None or sequence < failure[0]):
                    failure = (sequence, error)
        if failure is not None:
            raise failure[1]

    def get(self, kind: int, body: bytes, what: str) -> bytes | None:
        """The one object asked for; None if there is none."""
        self._sequence += 1
        self._socket.send(Request(kind, 0, body, what).pack(self._sequence))
        while True:
            for kind_, flags, sequence, reply in messages(self._socket.recv(65536)):
                if sequence != self._sequence:
                    continue
                if kind_ != _ERROR:
                    return reply
                error = struct.unpack_from("=i", reply)[0]
                if -error in (19, 2):  # ENODEV, ENOENT
                    return None
                if failure := _error(reply, flags, what):
                    raise failure
                return None

    def dump(self, kind: int, body: bytes, what: str) -> Iterator[bytes]:
        """Every object of a kind."""
        self._sequence += 1
        self._socket.send(Request(kind, DUMP, body, what).pack(self._sequence))
        while True:
            for kind_, flags, sequence, reply in messages(self._socket.recv(1 << 17)):
                if sequence != self._sequence:
                    continue
                if kind_ == _DONE:
                    return
                if kind_ == _ERROR:
                    if failure := _error(reply, flags, what):
                        raise failure
                    return
                yield reply

    def close(self) -> None:
        """Free the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _error(body: bytes, flags: int, what: str) -> Exception | None:
    code = -int(struct.unpack_from("=i", body)[0])
    if code == 0:
        return None
    words = os.strerror(code)
    if flags & _ACK_TLVS and (said := attributes(body[_REPLY_HEADER:]).get(1)):
        words = f"{words} ({as_text(said)})"
    return translated(OSError(code, words), what)
