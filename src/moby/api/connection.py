"""This file is about one client's connection, as far as aiohttp's own does not go.

aiohttp drops what follows a request with an `Upgrade` header, or takes it for the next request. Here it is
kept aside: it belongs to the stream that the connection is about to become, and must never be parsed.
Websockets aiohttp knows itself.
"""

from __future__ import annotations

import logging
import re

from moby.api.chunks import PlainChunks, head_of_chunked
from moby.api.pings import Pings
from moby.api.serving import BaseRequest, RequestHandler, Response, Server, StreamReader, StreamResponse
from moby.api.tls import TlsFront

_UPGRADE = re.compile(rb"\r\nupgrade:(?![ \t]*websocket)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_EARLY_LIMIT = 1 << 20

log = logging.getLogger(__name__)


class Connection(RequestHandler):
    """Keeps early bytes apart. `early` is what came after the request that asks for an upgrade.

    `peer` knows who the client is, if it came by TLS.
    """

    __slots__ = ("_chunks", "_missing", "_pings", "early", "peer")

    def __init__(self, pings: Pings | None, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.early: bytes | None = None
        self._pings = pings
        self._missing = 0
        self._chunks: tuple[PlainChunks, StreamReader] | None = None
        self.peer: TlsFront | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes from the client. Once something else than a ping has come, all of it goes to the parser."""
        if self._pings is not None:
            if self._take_ping(self._pings, data):
                return
            self._pings = None
        if self._chunks is not None:
            self._take_chunks(*self._chunks, data)
            return
        if self.early is None and (size := self._head_of_chunked(data)):
            super().data_received(data[:size])
            data = data[size:]
            # What the parser has made of the head; nobody has been given it yet.
            if len(self._messages) == 1 and not (body := self._messages[0][1]).is_eof():
                self._chunks = PlainChunks(), body
                body.begin_http_chunk_receiving()
                self._take_chunks(*self._chunks, data)
                return
        if self.early is None and not self._asks_for_upgrade(data):
            super().data_received(data)
            return
        if self.early is None:
            self.early = b""
            head, end, _ = data.partition(b"\r\n\r\n")
            match = _LENGTH.search(head + b"\r\n")
            self._missing = len(head) + len(end) + (int(match[1]) if match else 0)
        request, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(request)
        if rest:
            self.early += rest
            if len(self.early) > _EARLY_LIMIT:
                self.force_close()
        if request:
            super().data_received(request)

    def _asks_for_upgrade(self, data: bytes) -> bool:
        if self._messages or self._current_request is not None:
            return False  # a body, which may say anything
        head = data.find(b"\r\n\r\n")
        return _UPGRADE.search(data, 0, head + 2 if head >= 0 else len(data)) is not None

    def _head_of_chunked(self, data: bytes) -> int:
        if self._messages or self._current_request is not None:
            return 0
        return 0 if self._asks_for_upgrade(data) else head_of_chunked(data)

    def _take_chunks(self, chunks: PlainChunks, body: StreamReader, data: bytes) -> None:
        content, rest = chunks.take(data)
        if self._force_close or self._close:
            return
        body.feed_data(content)
        if chunks.over:
            self._chunks = None
            super().data_received(rest)

    def _take_ping(self, pings: Pings, data: bytes) -> bool:
        answer = pings.answer(data)
        # One that sends and does not read is to be held up, which the usual way does.
        if answer is None or self.transport is None or self.transport.get_write_buffer_size():
            return False
        self.transport.write(answer)
        return True

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """What is no HTTP is the client's fault: a line in the log, not a traceback each."""
        if status != 400 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        log.info("client sent no HTTP", extra={"error": str(exc)})
        response = Response(status=400, text="400 Bad Request")
        response.force_close()
        return response


class Connections(Server):
    """Makes a `Connection` of every client that comes; `pings` answers theirs once it is set."""

    pings: Pings | None = None

    def __call__(self) -> RequestHandler:
        return Connection(self.pings, self, loop=self._loop, **self._kwargs)
