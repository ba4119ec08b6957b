"""A client of the API that costs little itself: bytes on a Unix socket, no library between."""

from __future__ import annotations

import selectors
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class Connection:
    """One connection that is kept; a request at a time."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(120)
        self._socket.connect(str(path))
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The status and the body of an answer."""
        self._socket.sendall(request(method, path, body))
        while b"\r\n\r\n" not in self._rest:
            self._read()
        header, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status = int(header[9:12])
        header = header.lower()
        if b"content-length:" in header:
            length = int(header.split(b"content-length:")[1].split(b"\r\n")[0])
            return status, self._take(length)
        if b"transfer-encoding: chunked" in header:
            return status, self._chunks()
        return status, b""

    def _read(self) -> None:
        data = self._socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the engine closed the connection")
        self._rest += data

    def _take(self, length: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < length:
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the engine closed the connection")
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self._rest = whole[length:]
        return whole[:length]

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while True:
            while b"\r\n" not in self._rest:
                self._read()
            size, _, self._rest = self._rest.partition(b"\r\n")
            data = self._take(int(size, 16) + 2)
            if size.strip() == b"0":
                return b"".join(parts)
            parts.append(data[:-2])


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
    if body or method == "POST":
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def milliseconds_a_request(path: Path, target: str, count: int) -> float:
    """The mean time of a request on one connection."""
    with Connection(path) as connection:
        connection.call("GET", target)
        began = time.perf_counter()
        for _ in range(count):
            status, _ = connection.call("GET", target)
            assert status == 200, status
        return (time.perf_counter() - began) * 1000 / count


def flood(path: Path, target: str, connections: int, seconds: float) -> float:
    """Requests a second over several connections, each with one request under way; for small answers."""
    message = request("GET", target)
    answered = 0
    with selectors.EpollSelector() as selector:
        for _ in range(connections):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(path))
            client.sendall(message)
            selector.register(client, selectors.EVENT_READ)
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            for key, _ in selector.select():
                client = key.fileobj  # type: ignore[assignment]
                # Small answers come in one piece; a second piece would be counted twice, so it is looked for.
                if client.recv(65536).endswith((b"OK", b"}\n", b"]\n", b"}", b"]")):
                    answered += 1
                    client.sendall(message)
        took = time.perf_counter() - began
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return answered / took
