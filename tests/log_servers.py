"""Little servers that log drivers send to: they keep what arrives."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Self

LIMIT_S = 60.0


class Server:
    """Listens on a socket, keeps what comes, and answers if it is told how.

    Of datagrams each is kept apart in `packets`; of connections all that came on each.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        answer: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.packets: list[bytes] = []
        self._listener = listener
        self._tls = tls
        self._answer = answer
        self._changed = threading.Condition()
        self._connections: list[socket.socket] = []
        self._over = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener.settimeout(0.05)
        self._begin(self._take if self._listener.type == socket.SOCK_DGRAM else self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.drop()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def data(self) -> bytes:
        """All that came, one connection after the other."""
        return b"".join(self.packets)

    def drop(self) -> None:
        """Close every connection, and go on listening."""
        # Those there are now: a client may come back before all are closed.
        found, self._connections = self._connections, []
        for connection in found:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def wait(self, enough: Callable[[Server], bool]) -> None:
        """Until what came is enough."""
        deadline = time.monotonic() + LIMIT_S
        with self._changed:
            while not enough(self):
                left = deadline - time.monotonic()
                assert left > 0, f"this is all that came: {self.packets!r}"
                self._changed.wait(left)

    def wait_for(self, text: bytes) -> None:
        """Until this came."""
        self.wait(lambda server: text in server.data)

    def _keep(self, index: int | None, data: bytes) -> int:
        with self._changed:
            if index is None:
                self.packets.append(data)
                index = len(self.packets) - 1
            else:
                self.packets[index] += data
            self._changed.notify_all()
            return index

    def _take(self) -> None:
        while not self._over:
            with contextlib.suppress(TimeoutError):
                self._keep(None, self._listener.recv(1 << 20))

    def _accept(self) -> None:
        while not self._over:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        self._connections.append(connection)
        try:
            # It may have come while all others were being closed.
            if self._over:
                return
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            index = self._keep(None, b"")
            while data := connection.recv(1 << 16):
                self._keep(index, data)
                if self._answer is not None and (reply := self._answer(self.packets[index])):
                    connection.sendall(reply)
        except (OSError, ValueError):
            pass
        finally:
            connection.close()


def tcp() -> socket.socket:
    """A listening socket on the loopback."""
    return socket.create_server(("127.0.0.1", 0))


def udp() -> socket.socket:
    """A bound socket on the loopback."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    return bound


def unix(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket at a path, listening if it is for connections."""
    bound = socket.socket(socket.AF_UNIX, kind)
    bound.bind(str(path))
    if kind == socket.SOCK_STREAM:
        bound.listen(8)
    return bound


def unused_port() -> int:
    """A port on which nobody listens."""
    with tcp() as listener:
        return int(listener.getsockname()[1])


def certificate(directory: Path) -> ssl.SSLContext:
    """A server's side of TLS for 127.0.0.1; `ca.pem` in the directory vouches for it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=logs",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:logs.example", "-keyout", "key.pem", "-out", "ca.pem"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "ca.pem", directory / "key.pem")
    return context


class Request(NamedTuple):
    """What an HTTP server was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpServer:
    """Keeps requests, and answers with the status and the body that `reply` gives."""

    def __init__(
        self,
        reply: Callable[[Request], tuple[int, bytes]],
        *,
        tls: ssl.SSLContext | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                status, body = reply(request)
                # Before the answer: whoever has it finds the request here.
                with outer._changed:
                    outer.requests.append(request)
                    outer._changed.notify_all()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_OPTIONS = answer  # noqa: N815 - as the library asks for them

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener or tcp()
        self.port = int(self._server.socket.getsockname()[1])
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()

    def wait(self, enough: Callable[[], bool]) -> None:
        """Until what came is enough."""
        deadline = time.monotonic() + LIMIT_S
        with self._changed:
            while not enough():
                left = deadline - time.monotonic()
                assert left > 0, f"this is all that came: {self.requests!r}"
                self._changed.wait(left)
