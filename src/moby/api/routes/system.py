"""This file is about the engine itself over HTTP: ping, version, info, disk usage, events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Protocol

import msgspec
from multidict import CIMultiDict

from moby.api import versions
from moby.api.pings import HEADERS
from moby.api.request import Request
from moby.api.responses import JSON, JSON_LINES, JSON_SEQUENCE, accepted_stream, begin, closing, json_response
from moby.api.routing import Route
from moby.api.serving import Response, StreamResponse
from moby.core import errors
from moby.core.codec import encode
from moby.core.events import Event
from moby.core.filters import Filters, parse_time
from moby.core.types.system import DiskUsage, Info, Version


class System(Protocol):
    """What this module asks of an engine."""

    async def info(self) -> Info:
        """The engine and its host; the answer is the caller's to change."""
        ...

    async def version(self) -> Version:
        """What it is; `api_version` and `min_api_version` are filled in by the API."""
        ...

    async def disk_usage(self, kinds: Collection[str], *, verbose: bool) -> DiskUsage:
        """Of `kinds`, some of `container`, `image`, `volume`, `build-cache`; with `verbose`, item by item."""
        ...

    def events(self, *, since_ns: int | None, until_ns: int | None, filters: Filters) -> AsyncIterator[Event]:
        """As `moby.core.events.Bus.listen`, filtered. Raises InvalidParameter at once for a bad filter."""
        ...


_KINDS = ("container", "image", "volume", "build-cache")


class SystemRoutes:
    """The handlers."""

    def __init__(self, backend: System) -> None:
        self._backend = backend
        self._ping_headers: CIMultiDict[str] | None = None

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("SystemPing", self._ping),
            Route("SystemPingHead", self._ping),
            Route("SystemInfo", self._info),
            Route("SystemVersion", self._version),
            Route("SystemDataUsage", self._disk_usage, partial="nothing about a build cache"),
            Route("SystemEvents", self._events),
        ]

    async def _ping(self, request: Request) -> StreamResponse:
        if self._ping_headers is None:
            self._ping_headers = CIMultiDict({**request.common, **HEADERS})
        return Response(body=b"" if request.method == "HEAD" else b"OK", headers=self._ping_headers.copy())

    async def _info(self, request: Request) -> StreamResponse:
        return json_response(versions.info(await self._backend.info(), request.version))

    async def _version(self, request: Request) -> StreamResponse:
        answer = await self._backend.version()
        answer.api_version = versions.show(versions.MAXIMUM)
        answer.min_api_version = versions.show(versions.MINIMUM)
        for component in answer.components:
            if component.name == "Engine":
                component.details |= {
                    "ApiVersion": answer.api_version,
                    "MinAPIVersion": answer.min_api_version,
                }
        return json_response(answer)

    async def _disk_usage(self, request: Request) -> StreamResponse:
        kinds = request.texts("type") if request.version >= (1, 42) else []
        for kind in kinds:
            if kind not in _KINDS:
                raise errors.InvalidParameter(f"unknown object type: {kind}")
        verbose = request.flag("verbose") and request.version >= (1, 52)
        # Without `verbose` the old lists are part of the answer, so the details are needed all the same.
        answer = await self._backend.disk_usage(kinds or _KINDS, verbose=True)
        return json_response(versions.disk_usage(answer, request.version, verbose=verbose))

    async def _events(self, request: Request) -> StreamResponse:
        since, until = _nanoseconds(request, "since"), _nanoseconds(request, "until")
        if until is not None and since is not None and until < since:
            texts = request.text("since"), request.text("until")
            raise errors.InvalidParameter(
                f"`since` time ({texts[0]}) cannot be after `until` time ({texts[1]})"
            )
        events = self._backend.events(since_ns=since, until_ns=until, filters=request.filters())
        kind = accepted_stream(request) or (JSON_LINES if request.version >= (1, 52) else JSON)
        prefix = b"\x1e" if kind == JSON_SEQUENCE else b""
        async with closing(events):
            response = await begin(request, kind)
            async for event in events:
                if request.version < (1, 46) and event.type == "image" and event.action == "create":
                    continue
                shown = event if request.version >= (1, 52) else _with_old_fields(event)
                await response.write(prefix + encode(shown) + b"\n")
        return response


def _nanoseconds(request: Request, key: str) -> int | None:
    text = request.text(key)
    if not text:
        return None
    try:
        seconds, nanoseconds = parse_time(text)
    except errors.InvalidParameter as error:
        raise errors.InvalidParameter(f"invalid value for '{key}': {error.message}") from error
    return seconds * 1_000_000_000 + nanoseconds


def _with_old_fields(event: Event) -> object:
    """Clients before v25 read these, though they were deprecated in v1.22 of the API."""
    if event.type not in ("container", "image"):
        return event
    found: dict[str, Any] = {"status": event.action, "id": event.actor.id}
    if event.type == "container":
        found["from"] = event.actor.attributes.get("image", "")
    return {**found, **msgspec.to_builtins(event)}
