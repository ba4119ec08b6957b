"""This file is about the images that are here, over HTTP: list, inspect, history, tag, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moby.api import versions
from moby.api.request import Request
from moby.api.responses import empty_response, json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core import errors
from moby.core.filters import Filters
from moby.core.platform import Platform
from moby.core.types.images import (
    AttestationStatement,
    ImageDeleteResponse,
    ImageHistoryItem,
    ImageInspect,
    ImagePruneResponse,
    ImageSummary,
)


class Images(Protocol):
    """What this module asks of an engine; `name` is a reference, an ID or its unique beginning.

    Methods that take a name raise NotFound (`No such image: NAME`).
    """

    async def inspect(
        self, name: str, *, platform: Platform | None = None, manifests: bool = False
    ) -> ImageInspect:
        """Everything about it."""
        ...

    async def history(self, name: str, *, platform: Platform | None = None) -> Sequence[ImageHistoryItem]:
        """How it was made, latest step first."""
        ...

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """Give it another name (`latest` without a tag). Raises InvalidParameter for a bad reference."""
        ...

    async def remove(
        self, name: str, *, force: bool = False, prune: bool = True, platforms: Sequence[Platform] = ()
    ) -> Sequence[ImageDeleteResponse]:
        """Raises Conflict while containers use it."""
        ...

    async def prune(self, filters: Filters) -> ImagePruneResponse:
        """Remove images that nothing uses: without a name, or all with the filter `dangling=false`."""
        ...

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - the parameter's name in the Engine API
        filters: Filters,
        shared_size: bool = False,
        manifests: bool = False,
        identity: bool = False,
    ) -> Sequence[ImageSummary]:
        """Newest first; with `identity` each manifest tells where it came from."""
        ...

    async def attestations(
        self,
        name: str,
        *,
        platform: Platform | None = None,
        kinds: Sequence[str] = (),
        statements: bool = False,
    ) -> Sequence[AttestationStatement]:
        """What was stated about the image for a platform, of some predicate types or of all."""
        ...


class ImageRoutes:
    """The handlers."""

    def __init__(self, backend: Images) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("ImageList", self._list, partial="no verified signatures in identities"),
            Route("ImageInspect", self._inspect, partial="no verified signatures in identities"),
            Route("ImageAttestations", self._attestations),
            Route("ImageHistory", self._history),
            Route("ImageTag", self._tag, finishes=True),
            Route("ImageDelete", self._remove, finishes=True),
            Route("ImagePrune", self._prune, finishes=True),
        ]

    async def _list(self, request: Request) -> StreamResponse:
        manifests = request.flag("manifests") and request.version >= (1, 47)
        identity = request.flag("identity") and request.version >= (1, 54)
        if identity and not manifests:
            raise errors.InvalidParameter("conflicting options: identity requires manifests=1")
        found = await self._backend.list(
            all=request.flag("all"),
            filters=request.filters(),
            shared_size=request.flag("shared-size") and request.version >= (1, 42),
            manifests=manifests,
            identity=identity,
        )
        return json_response(versions.image_list(found, request.version))

    async def _inspect(self, request: Request) -> StreamResponse:
        manifests = request.flag("manifests") and request.version >= (1, 48)
        platform = request.platform("platform", since=(1, 49))
        if manifests and platform is not None:
            raise errors.InvalidParameter(
                "conflicting options: manifests and platform options cannot both be set"
            )
        answer = await self._backend.inspect(request.name, platform=platform, manifests=manifests)
        return json_response(versions.image_inspect(answer, request.version))

    async def _history(self, request: Request) -> StreamResponse:
        platform = request.platform("platform", since=(1, 48))
        return json_response(await self._backend.history(request.name, platform=platform))

    async def _attestations(self, request: Request) -> StreamResponse:
        if len(request.texts("platform")) > 1:
            raise errors.InvalidParameter("only one platform value is currently supported")
        found = await self._backend.attestations(
            request.name,
            platform=request.platform("platform", since=(1, 55)),
            kinds=[text.strip() for text in request.texts("type") if text.strip()],
            statements=request.flag("statement"),
        )
        return json_response(found)

    async def _tag(self, request: Request) -> StreamResponse:
        repository = request.text("repo")
        if not repository:
            raise errors.InvalidParameter("repository name must have at least one component")
        await self._backend.tag(request.name, repository, request.text("tag"))
        return empty_response(201)

    async def _remove(self, request: Request) -> StreamResponse:
        if not request.name.strip():
            raise errors.InvalidParameter("image name cannot be blank")
        done = await self._backend.remove(
            request.name,
            force=request.flag("force"),
            prune=not request.flag("noprune"),
            platforms=request.platforms("platforms", since=(1, 50)),
        )
        return json_response(done)

    async def _prune(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.prune(request.filters()))
