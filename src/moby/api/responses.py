"""This file is about answers: JSON, errors, and streams that begin before they are complete."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from multidict import CIMultiDict

from moby.api.request import Request
from moby.api.serving import Response, StreamResponse, hdrs
from moby.api.status import status_of
from moby.core.codec import encode
from moby.core.errors import MobyError
from moby.core.types.errors import ErrorResponse
from moby.core.types.jsonstream import JSONError, JSONMessage

log = logging.getLogger(__name__)

T = TypeVar("T")

JSON = "application/json"
JSON_LINES = "application/jsonl"
NDJSON = "application/x-ndjson"
JSON_SEQUENCE = "application/json-seq"
RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"
TAR = "application/x-tar"

# asm-generic/socket.h: as SO_SNDBUF, past the limit for those who have no rights.
_SO_SNDBUFFORCE = 32
_ROOM = 1 << 20


def json_response(value: object, status: int = 200) -> Response:
    """`value` as JSON and a newline."""
    return Response(body=encode(value) + b"\n", status=status, headers=CIMultiDict({hdrs.CONTENT_TYPE: JSON}))


def empty_response(status: int = 204) -> Response:
    """Only a status."""
    return Response(status=status)


def error_response(message: str, status: int) -> Response:
    """The one form of errors. 304 has no body."""
    if status == 304:
        return empty_response(304)
    return json_response(ErrorResponse(message), status)


async def begin(request: Request, content_type: str, status: int = 200) -> StreamResponse:
    """Send the head of a stream now. Errors from here on can only cut the connection."""
    response = StreamResponse(status=status, headers=CIMultiDict({hdrs.CONTENT_TYPE: content_type}))
    response.headers.update(request.common)
    await request.release(response)
    request.started = response
    await response.prepare(request.http)
    return response


def accepted_stream(request: Request) -> str:
    """The kind of stream of JSON that the client names in `Accept`, wildcards left aside; or nothing."""
    for part in request.http.headers.get("Accept", "").split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in (JSON_LINES, NDJSON, JSON_SEQUENCE):
            return kind
    return ""


@asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close an iterator at the end of the block, if it can be closed."""
    try:
        yield items
    finally:
        close: Any = getattr(items, "aclose", None)
        if close is not None:
            await close()


async def stream_bytes(request: Request, content_type: str, chunks: AsyncIterator[bytes]) -> StreamResponse:
    """Chunks as they come; the head is sent with the first, so that an error before it has its status."""
    async with closing(chunks):
        first = await anext(chunks, b"")
        response = await begin(request, content_type)
        if first:
            await response.write(first)
        async for chunk in chunks:
            if chunk:
                await response.write(chunk)
    return response


async def stream_progress(
    request: Request, messages: AsyncIterator[JSONMessage], *, always_lines: bool = False
) -> StreamResponse:
    """Progress, a JSON object a line; an error after the first line is a line, too.

    With `always_lines` so is an error before the first one, as some clients expect.
    """
    async with closing(messages):
        try:
            first = await anext(messages, None)
        except MobyError as error:
            if not always_lines:
                raise
            response = await begin(request, JSON)
            await response.write(_line(_failure(request, error)))
            return response
        response = await begin(request, JSON)
        try:
            if first is not None:
                await response.write(_line(first))
            async for message in messages:
                await response.write(_line(message))
        except MobyError as error:
            await response.write(_line(_failure(request, error)))
    return response


def make_room(request: Request) -> None:
    """Let the kernel hold more of what is sent at once: whoever makes it does not wait for whoever reads it.

    Only for Unix sockets: TCP knows how much it needs.
    """
    transport = request.http.transport
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is not None and connection.family == socket.AF_UNIX:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _ROOM)


def _line(message: JSONMessage) -> bytes:
    return encode(message) + b"\r\n"


def _failure(request: Request, error: MobyError) -> JSONMessage:
    log.info("progress ended in an error", extra={"path": request.path, "error": error.message})
    return JSONMessage(error_detail=JSONError(code=_code(error), message=error.message), error=error.message)


def _code(error: MobyError) -> int:
    """Clients act on 401 alone; dockerd leaves all others out."""
    return 401 if status_of(error) == 401 else 0
