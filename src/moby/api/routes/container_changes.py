"""This file is about looking into containers and changing their limits over HTTP: top and update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import json_response
from moby.api.routes.container_versions import adapt_update
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.types.containers import (
    ContainerTopResponse,
    ContainerUpdateRequest,
    ContainerUpdateResponse,
)


class ContainerChanges(Protocol):
    """What this module asks of an engine. Every method raises NotFound (`No such container: NAME`)."""

    async def top(self, name: str, ps_args: str) -> ContainerTopResponse:
        """Raises Conflict if it does not run."""
        ...

    async def update(self, name: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        """Raises InvalidParameter, Conflict."""
        ...


class ContainerChangeRoutes:
    """The handlers."""

    def __init__(self, backend: ContainerChanges) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("ContainerTop", self._top),
            Route("ContainerUpdate", self._update, finishes=True),
        ]

    async def _top(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.top(request.name, request.text("ps_args")))

    async def _update(self, request: Request) -> StreamResponse:
        wanted = await request.body(ContainerUpdateRequest)
        adapt_update(wanted, request.version)
        return json_response(await self._backend.update(request.name, wanted))
