"""This file is about images made of containers over HTTP: commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.codec import decode
from moby.core.types.commits import CommitOptions, CommitResponse
from moby.core.types.containers import ContainerConfig


class Commits(Protocol):
    """What this module asks of an engine."""

    async def commit(self, name: str, options: CommitOptions) -> str:
        """The ID of a new image. Raises NotFound, Conflict, InvalidParameter."""
        ...


class CommitRoutes:
    """The handlers."""

    def __init__(self, backend: Commits) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [Route("ImageCommit", self._commit)]

    async def _commit(self, request: Request) -> StreamResponse:
        request.check_body()
        body = await request.read()
        options = CommitOptions(
            repository=request.text("repo"),
            tag=request.text("tag"),
            comment=request.text("comment"),
            author=request.text("author"),
            pause=request.flag("pause", default=True),
            changes=request.texts("changes"),
            config=decode(body, ContainerConfig) if body.strip() not in (b"", b"null") else None,
        )
        made = await self._backend.commit(request.text("container"), options)
        return json_response(CommitResponse(made), 201)
