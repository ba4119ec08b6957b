"""This file is about checkpoints of containers over HTTP, which dockerd has in its experimental mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import empty_response, json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.types.checkpoints import CheckpointCreateRequest, CheckpointSummary


class Checkpoints(Protocol):
    """What this module asks of an engine; `directory` is where checkpoints are, empty for the usual place.

    Every method raises NotImplemented outside experimental mode, NotFound (`No such container: NAME`), and
    InvalidParameter for a name that no checkpoint can have.
    """

    async def create(self, name: str, request: CheckpointCreateRequest) -> None:
        """Raises Conflict if it does not run; NotImplemented where the machine cannot."""
        ...

    async def remove(self, name: str, checkpoint: str, directory: str) -> None:
        """Raises System if there is no such checkpoint."""
        ...

    async def list(self, name: str, directory: str) -> Sequence[CheckpointSummary]:
        """By name."""
        ...


class CheckpointRoutes:
    """The handlers."""

    def __init__(self, backend: Checkpoints) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("ContainerCheckpointList", self._list),
            Route("ContainerCheckpointCreate", self._create, finishes=True),
            Route("ContainerCheckpointDelete", self._remove, finishes=True),
        ]

    async def _list(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.list(request.name, request.text("dir")))

    async def _create(self, request: Request) -> StreamResponse:
        wanted = await request.body(CheckpointCreateRequest)
        await self._backend.create(request.name, wanted)
        return empty_response(201)

    async def _remove(self, request: Request) -> StreamResponse:
        checkpoint = request.path.rpartition("/")[2]
        await self._backend.remove(request.name, checkpoint, request.text("dir"))
        return empty_response()
