"""This file is about what builds leave over HTTP: pruning it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.errors import InvalidParameter
from moby.core.filters import Filters
from moby.core.types.builds import BuildPruneResponse


class BuildCache(Protocol):
    """What this module asks of an engine."""

    async def prune(self, filters: Filters) -> BuildPruneResponse:
        """Remove what nobody needs. Raises InvalidParameter for filters that cannot be."""
        ...


class BuildCacheRoutes:
    """The handlers."""

    def __init__(self, backend: BuildCache) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [Route("BuildPrune", self._prune, partial="there is nothing to prune", finishes=True)]

    async def _prune(self, request: Request) -> StreamResponse:
        # Of nothing there is never too much; who says it wrongly is told all the same.
        limits = ("reserved-space", "max-used-space", "min-free-space") if request.version >= (1, 48) else ()
        for name in (*limits, "keep-storage"):
            try:
                request.integer(name)
            except InvalidParameter as error:
                text = request.text(name)
                raise InvalidParameter(
                    f"{name} is in bytes and expects an integer, got {text}: {error.message}"
                ) from error
        return json_response(await self._backend.prune(request.filters()))
