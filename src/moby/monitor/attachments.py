"""This file is about a client attached to a container: what it is sent, and what it types."""

from __future__ import annotations

import contextlib
import socket

from moby.core.logs import Stream
from moby.monitor.protocol import AttachOptions

FULL = 1 << 20
_STREAMS: dict[Stream, int] = {"stdout": 1, "stderr": 2}


class DetachKeys:
    """Looks for a sequence of keys in what is typed (sans-io); what only looks like its beginning is held."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence is complete."""
        keys = self._keys
        if not keys:
            return data, False
        passed = bytearray()
        for byte in data:
            if byte == keys[self._matched]:
                self._matched += 1
                if self._matched == len(keys):
                    return bytes(passed), True
                continue
            # The longest end of what was typed that may still become the sequence is held on.
            typed = keys[: self._matched] + bytes([byte])
            start = next(at for at in range(1, len(typed) + 1) if keys.startswith(typed[at:]))
            passed += typed[:start]
            self._matched = len(typed) - start
        return bytes(passed), False


class Attachment:
    """One client's connection. Nothing here waits: what the client does not take yet is held in `backlog`."""

    def __init__(self, number: int, connection: socket.socket, options: AttachOptions) -> None:
        self.number = number
        self.connection = connection
        self.options = options
        self.backlog = bytearray()
        self.reading = True
        self.keys = DetachKeys(options.detach_keys)

    @property
    def full(self) -> bool:
        """Has it so much to take that the container has to wait?"""
        return len(self.backlog) >= FULL

    def wants(self, stream: Stream) -> bool:
        """Did it ask for this stream?"""
        return self.options.stdout if stream == "stdout" else self.options.stderr

    def deliver(self, stream: Stream, data: bytes) -> bool:
        """Send or hold; False if the client is gone."""
        if self.options.multiplexed:
            data = b"%c\0\0\0%b%b" % (_STREAMS[stream], len(data).to_bytes(4, "big"), data)
        if not self.backlog:
            try:
                sent = self.connection.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                sent = 0
            except OSError:
                return False
            if sent == len(data):
                return True
            data = data[sent:]
        self.backlog += data
        return True

    def push(self) -> bool:
        """Send what is held, as far as the client takes it; False if it is gone."""
        while self.backlog:
            try:
                sent = self.connection.send(self.backlog, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return True
            except OSError:
                return False
            del self.backlog[:sent]
        return True

    def take(self) -> bytes | None:
        """What the client sends; None if it says that nothing more comes. Raises OSError if it is gone."""
        try:
            data = self.connection.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        return data or None

    def close(self) -> None:
        """End the connection after what was sent."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
