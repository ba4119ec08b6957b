"""This file is about what flows to and from containers over HTTP: waits, logs, attachments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import (
    JSON,
    JSON_SEQUENCE,
    MULTIPLEXED_STREAM,
    NDJSON,
    RAW_STREAM,
    accepted_stream,
    begin,
    closing,
    empty_response,
    json_response,
    make_room,
)
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.api.websockets import WebSocketStream
from moby.core import errors
from moby.core.codec import encode
from moby.core.filters import Filters
from moby.core.logs import LogQuery
from moby.core.types.containers import ContainerWaitExitError, ContainerWaitResponse
from moby.core.types.requests import AttachRequest, LogsRequest, Takeover


class Waiting(Protocol):
    """One wait, registered when it is made: nothing that happens before `result()` is missed."""

    async def result(self) -> ContainerWaitResponse:
        """The exit code, once the condition is met; cancelled when the client goes away."""
        ...


class ContainerStreams(Protocol):
    """What this module asks of an engine. Every method raises NotFound (`No such container: NAME`)."""

    async def wait(self, name: str, condition: str) -> Waiting:
        """Begin to wait; `condition` is `not-running`, `next-exit` or `removed`."""
        ...

    async def logs(self, name: str, request: LogsRequest) -> tuple[bool, AsyncIterator[bytes]]:
        """Whether it has a terminal, and the log in chunks, framed if it has none."""
        ...

    async def attach(self, name: str, request: AttachRequest, takeover: Takeover) -> None:
        """Raises Conflict or InvalidParameter before calling `takeover`; returns when the stream ended."""
        ...

    async def empty_log(self, name: str) -> None:
        """Forget its log. Raises Conflict, NotImplemented."""
        ...

    async def resize(self, name: str, *, height: int, width: int) -> None:
        """Set the terminal's size in characters. Raises Conflict if it does not run."""
        ...


class ContainerStreamRoutes:
    """The handlers."""

    def __init__(self, backend: ContainerStreams) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("ContainerWait", self._wait),
            Route("ContainerLogs", self._logs),
            Route("ContainerAttach", self._attach, finishes=True),
            Route("ContainerAttachWebsocket", self._attach_websocket),
            Route("ContainerResize", self._resize),
            Route("ContainerLogsDelete", self._empty_log, finishes=True),
        ]

    async def _wait(self, request: Request) -> StreamResponse:
        condition = request.text("condition") if request.version >= (1, 30) else ""
        if condition not in ("", "not-running", "next-exit", "removed"):
            raise errors.InvalidParameter(f'invalid condition: "{condition}"')
        waiting = await self._backend.wait(request.name, condition or "not-running")
        if request.version < (1, 30):
            return json_response(await waiting.result())
        # The client starts the container when it has seen the head.
        response = await begin(request, JSON)
        try:
            result = await waiting.result()
        except errors.MobyError as error:
            result = ContainerWaitResponse(error=ContainerWaitExitError(message=error.message))
        await response.write(encode(result) + b"\n")
        return response

    async def _logs(self, request: Request) -> StreamResponse:
        stdout, stderr = request.flag("stdout"), request.flag("stderr")
        if not (stdout or stderr):
            raise errors.InvalidParameter("must specify at least one of 'stdout' or 'stderr'")
        as_json = _json_format(request)
        query = LogQuery(
            stdout=stdout,
            stderr=stderr,
            since=_moment(request, "since"),
            until=_moment(request, "until"),
            tail=_tail(request.text("tail")),
            follow=request.flag("follow"),
        )
        asked = LogsRequest(
            query,
            timestamps=request.flag("timestamps"),
            details=request.flag("details"),
            json=bool(as_json),
            prefix=b"\x1e" if as_json == JSON_SEQUENCE else b"",
        )
        tty, chunks = await self._backend.logs(request.name, asked)
        framed = MULTIPLEXED_STREAM if not tty and request.version >= (1, 42) else RAW_STREAM
        kind = as_json or framed
        async with closing(chunks):
            # Nothing may come for long: the client is told at once that it has its log.
            response = await begin(request, kind)
            make_room(request)
            async for chunk in chunks:
                if chunk:
                    await response.write(chunk)
        return response

    async def _attach(self, request: Request) -> StreamResponse:
        asked = AttachRequest(
            stdin=request.flag("stdin"),
            stdout=request.flag("stdout"),
            stderr=request.flag("stderr"),
            stream=request.flag("stream"),
            logs=request.flag("logs"),
            detach_keys=request.text("detachKeys"),
        )
        assert request.takeover is not None
        await self._backend.attach(request.name, asked, request.takeover)
        return empty_response(200)

    async def _attach_websocket(self, request: Request) -> StreamResponse:
        # Before 1.42 there was no way to ask for some of the streams.
        choosing = request.version >= (1, 42)
        asked = AttachRequest(
            stdin=request.flag("stdin") or not choosing,
            stdout=request.flag("stdout") or not choosing,
            stderr=request.flag("stderr") or not choosing,
            stream=request.flag("stream"),
            logs=request.flag("logs"),
            detach_keys=request.text("detachKeys"),
            multiplexed=False,
        )
        refused: errors.MobyError | None = None
        stream = WebSocketStream(request)
        async with asyncio.TaskGroup() as group:
            stream.group = group
            try:
                await self._backend.attach(request.name, asked, stream.take_over)
            except errors.MobyError as error:
                refused = error
        if refused is not None:
            raise refused
        return stream.response

    async def _empty_log(self, request: Request) -> StreamResponse:
        await self._backend.empty_log(request.name)
        return empty_response()

    async def _resize(self, request: Request) -> StreamResponse:
        height, width = request.size("h", "height"), request.size("w", "width")
        await self._backend.resize(request.name, height=height, width=width)
        return empty_response(200)


def _json_format(request: Request) -> str:
    """The kind of stream if the log is asked for as JSON, or nothing."""
    if request.version < (1, 54):
        return ""
    wanted = request.text("format")
    if wanted not in ("", "json"):
        raise errors.InvalidParameter("unsupported log format")
    return accepted_stream(request) or (NDJSON if wanted else "")


def _moment(request: Request, key: str) -> datetime | None:
    text = request.text(key)
    if not text or (key == "until" and text == "0"):
        return None
    try:
        return Filters.moment(text)
    except errors.InvalidParameter as error:
        raise errors.InvalidParameter(f'invalid value for "{key}": {error.message}') from error


def _tail(text: str) -> int | None:
    """A number of lines; anything else is all of them."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
