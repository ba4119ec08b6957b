"""This file is about what containers use, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import JSON, begin, closing
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.codec import encode
from moby.core.errors import InvalidParameter
from moby.core.types.stats import ContainerStats


class Statistics(Protocol):
    """What this module asks of an engine."""

    async def stats(self, name: str, *, stream: bool, one_shot: bool) -> AsyncIterator[ContainerStats]:
        """Samples. Raises NotFound (`No such container: NAME`)."""
        ...


class ContainerStatsRoutes:
    """The handlers."""

    def __init__(self, backend: Statistics) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [Route("ContainerStats", self._stats)]

    async def _stats(self, request: Request) -> StreamResponse:
        stream = request.flag("stream", default=True)
        one_shot = request.version >= (1, 41) and request.flag("one-shot")
        if stream and one_shot:
            raise InvalidParameter("cannot have stream=true and one-shot=true")
        samples = await self._backend.stats(request.name, stream=stream, one_shot=one_shot)
        async with closing(samples):
            response = await begin(request, JSON)
            async for sample in samples:
                await response.write(encode(sample) + b"\n")
        return response
