"""This file is about images on their way, over HTTP: pull, push, save, load, import, and registries."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import TAR, json_response, stream_bytes, stream_progress
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core import errors
from moby.core.codec import decode
from moby.core.filters import Filters
from moby.core.platform import Platform, parse_platform
from moby.core.types.images import DistributionInspect, ImageSearchResult
from moby.core.types.jsonstream import JSONMessage
from moby.core.types.registries import AuthConfig, AuthResponse


class Transfers(Protocol):
    """What this module asks of an engine.

    Progress is an iterator of messages. An error raised before the first message becomes the response's
    status; a later one becomes its last line. The iterator is closed when the client goes away.
    """

    def pull(
        self,
        image: str,
        tag: str,
        *,
        platform: str | None = None,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JSONMessage]:
        """`tag` may be a digest; without a tag in either, every tag is meant. Raises NotFound."""
        ...

    def push(
        self,
        image: str,
        tag: str,
        *,
        platform: Platform | None = None,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JSONMessage]:
        """Without `tag`, every tag of the repository."""
        ...

    def load(
        self, archive: AsyncIterator[bytes], *, platforms: Sequence[Platform] = (), quiet: bool = False
    ) -> AsyncIterator[JSONMessage]:
        """Take the images of an archive."""
        ...

    def import_(
        self,
        archive: AsyncIterator[bytes] | str,
        *,
        repository: str = "",
        tag: str = "",
        platform: str | None = None,
        message: str = "",
        changes: Sequence[str] = (),
    ) -> AsyncIterator[JSONMessage]:
        """Make an image of one layer from a tar, or from the one at a URL."""
        ...

    def save(self, names: Sequence[str], *, platforms: Sequence[Platform] = ()) -> AsyncIterator[bytes]:
        """An archive of images, in chunks. Raises NotFound before the first chunk."""
        ...

    async def distribution(self, image: str, *, auth: AuthConfig | None = None) -> DistributionInspect:
        """What a registry tells of an image."""
        ...

    async def authenticate(self, auth: AuthConfig) -> AuthResponse:
        """Log in to a registry. Raises Unauthorized."""
        ...

    async def search(
        self,
        term: str,
        *,
        limit: int = 0,
        filters: Filters,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sequence[ImageSearchResult]:
        """Repositories of Docker Hub, or of the registry that the term begins with."""
        ...


class TransferRoutes:
    """The handlers."""

    def __init__(self, backend: Transfers) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("ImageCreate", self._create),
            Route("ImagePush", self._push),
            Route("ImageLoad", self._load),
            Route("ImageGet", self._save),
            Route("ImageGetAll", self._save),
            Route("DistributionInspect", self._distribution),
            Route("SystemAuth", self._authenticate),
            Route("ImageSearch", self._search),
        ]

    async def _create(self, request: Request) -> StreamResponse:
        platform = request.text("platform") if request.version >= (1, 32) else ""
        if platform:
            parse_platform(platform)
        if image := request.text("fromImage"):
            messages = self._backend.pull(
                image.removesuffix(":"),
                request.text("tag"),
                platform=platform or None,
                auth=_auth(request),
                headers=_meta_headers(request),
            )
        else:
            source = request.text("fromSrc")
            messages = self._backend.import_(
                request.stream() if source == "-" else source,
                repository=request.text("repo"),
                tag=request.text("tag"),
                platform=platform or None,
                message=request.text("message") or f"Imported from {source}",
                changes=request.texts("changes"),
            )
        return await stream_progress(request, messages)

    async def _push(self, request: Request) -> StreamResponse:
        messages = self._backend.push(
            request.name,
            request.text("tag"),
            platform=request.platform("platform", since=(1, 46)),
            auth=_auth(request),
            headers=_meta_headers(request),
        )
        return await stream_progress(request, messages)

    async def _load(self, request: Request) -> StreamResponse:
        messages = self._backend.load(
            request.stream(), platforms=_platforms(request), quiet=request.flag("quiet", default=True)
        )
        return await stream_progress(request, messages, always_lines=True)

    async def _save(self, request: Request) -> StreamResponse:
        names = [request.name] if request.name else request.texts("names")
        chunks = self._backend.save(names, platforms=_platforms(request))
        return await stream_bytes(request, TAR, chunks)

    async def _distribution(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.distribution(request.name, auth=_auth(request)))

    async def _authenticate(self, request: Request) -> StreamResponse:
        auth = decode(await request.read(), AuthConfig)
        return json_response(await self._backend.authenticate(auth))

    async def _search(self, request: Request) -> StreamResponse:
        try:
            limit = request.integer("limit") or 0
        except errors.InvalidParameter as error:
            raise errors.InvalidParameter(f"invalid limit specified: {error.message}") from error
        if limit < 0:
            raise errors.InvalidParameter("invalid limit specified")
        found = await self._backend.search(
            request.text("term"),
            limit=limit,
            filters=request.filters(),
            auth=_auth(request),
            headers=_meta_headers(request),
        )
        return json_response(found)


def _platforms(request: Request) -> Sequence[Platform]:
    if (1, 48) <= request.version < (1, 52) and len(request.texts("platform")) > 1:
        raise errors.InvalidParameter(
            "multiple platform parameters are not supported in this API version; "
            "use API version 1.52 or later"
        )
    return request.platforms("platform", since=(1, 48))


def _meta_headers(request: Request) -> Mapping[str, str]:
    """The headers that a client wants passed on to the registry."""
    return {key: value for key, value in request.http.headers.items() if key.lower().startswith("x-meta-")}


def _auth(request: Request) -> AuthConfig | None:
    """Who asks the registry. What cannot be read is left out, as dockerd does."""
    text = request.http.headers.get("X-Registry-Auth", "")
    if not text:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return decode(raw, AuthConfig)
    except (binascii.Error, ValueError, errors.InvalidParameter):
        return None
