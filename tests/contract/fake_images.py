"""Images made of constants, and their way in and out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from moby.core.descriptor import OCI_INDEX, OCI_LAYER, Descriptor
from moby.core.errors import NotFound, no_such
from moby.core.filters import Filters
from moby.core.platform import Platform
from moby.core.types.images import (
    AttestationStatement,
    DistributionInspect,
    Identity,
    ImageConfig,
    ImageDeleteResponse,
    ImageHistoryItem,
    ImageInspect,
    ImagePruneResponse,
    ImageSearchResult,
    ImageSummary,
    PullIdentity,
    RootFS,
)
from moby.core.types.jsonstream import JSONMessage
from moby.core.types.registries import AuthConfig, AuthResponse

DIGEST = "sha256:" + "a" * 64
NOW = "2026-01-02T03:04:05.000006Z"
INDEX = Descriptor(OCI_INDEX, DIGEST, 1234)


class FakeImages:
    """One image called `busybox`."""

    async def inspect(
        self, name: str, *, platform: Platform | None = None, manifests: bool = False
    ) -> ImageInspect:
        if name not in ("busybox", "example.com/a/b:1"):
            raise no_such("image", name)
        return ImageInspect(
            id=DIGEST,
            repo_tags=["busybox:latest"],
            created=NOW,
            config=ImageConfig(cmd=["sh"]),
            architecture="amd64",
            os="linux",
            root_fs=RootFS(type="layers", layers=[DIGEST]),
            size=9,
            descriptor=INDEX,
            identity=Identity(pull=[PullIdentity(repository="docker.io/library/busybox")]),
        )

    async def history(self, name: str, *, platform: Platform | None = None) -> Sequence[ImageHistoryItem]:
        return [ImageHistoryItem(created=1, created_by="sh", id="<missing>", size=9, tags=["busybox:latest"])]

    async def tag(self, name: str, repository: str, tag: str) -> None:
        if name != "busybox":
            raise no_such("image", name)

    async def remove(
        self, name: str, *, force: bool = False, prune: bool = True, platforms: Sequence[Platform] = ()
    ) -> Sequence[ImageDeleteResponse]:
        return [ImageDeleteResponse(untagged=name), ImageDeleteResponse(deleted=DIGEST)]

    async def prune(self, filters: Filters) -> ImagePruneResponse:
        return ImagePruneResponse(images_deleted=[ImageDeleteResponse(deleted=DIGEST)], space_reclaimed=9)

    async def attestations(
        self,
        name: str,
        *,
        platform: Platform | None = None,
        kinds: Sequence[str] = (),
        statements: bool = False,
    ) -> Sequence[AttestationStatement]:
        if name != "busybox":
            raise no_such("image", name)
        said = msgspec.Raw(b'{"a": 1}') if statements else None
        kind = kinds[0] if kinds else "https://slsa.dev/provenance/v0.2"
        layer = Descriptor("application/vnd.in-toto+json", DIGEST, 9)
        return [AttestationStatement(descriptor=layer, predicate_type=kind, statement=said)]

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - the parameter's name in the Engine API
        filters: Filters,
        shared_size: bool = False,
        manifests: bool = False,
        identity: bool = False,
    ) -> Sequence[ImageSummary]:
        return [ImageSummary(id=DIGEST, descriptor=INDEX, size=9, created=1)]


class FakeTransfers:
    """Progress of two lines for everything; the image `missing` is missing, `broken` breaks on the way."""

    def __init__(self) -> None:
        self.received = 0
        self.auth: AuthConfig | None = None

    async def pull(
        self,
        image: str,
        tag: str,
        *,
        platform: str | None = None,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JSONMessage]:
        self.auth = auth
        if image == "missing":
            raise NotFound("pull access denied for missing")
        yield JSONMessage(status="Pulling from library/busybox", id="latest")
        if image == "broken":
            raise NotFound("manifest unknown")
        yield JSONMessage(status="Status: Downloaded")

    async def push(
        self,
        image: str,
        tag: str,
        *,
        platform: Platform | None = None,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JSONMessage]:
        yield JSONMessage(status=f"The push refers to repository [{image}]")

    async def load(
        self, archive: AsyncIterator[bytes], *, platforms: Sequence[Platform] = (), quiet: bool = False
    ) -> AsyncIterator[JSONMessage]:
        async for chunk in archive:
            self.received += len(chunk)
        yield JSONMessage(stream="Loaded image: busybox:latest\n")

    async def import_(
        self,
        archive: AsyncIterator[bytes] | str,
        *,
        repository: str = "",
        tag: str = "",
        platform: str | None = None,
        message: str = "",
        changes: Sequence[str] = (),
    ) -> AsyncIterator[JSONMessage]:
        if isinstance(archive, str):
            yield JSONMessage(status=f"Downloading from {archive}")
        else:
            async for chunk in archive:
                self.received += len(chunk)
        yield JSONMessage(status=DIGEST)

    async def save(self, names: Sequence[str], *, platforms: Sequence[Platform] = ()) -> AsyncIterator[bytes]:
        if "missing" in names:
            raise no_such("image", "missing")
        yield b"tar"

    async def distribution(self, image: str, *, auth: AuthConfig | None = None) -> DistributionInspect:
        return DistributionInspect(
            descriptor=Descriptor(OCI_LAYER, DIGEST, 1), platforms=[Platform("amd64", "linux")]
        )

    async def authenticate(self, auth: AuthConfig) -> AuthResponse:
        self.auth = auth
        return AuthResponse(status="Login Succeeded")

    async def search(
        self,
        term: str,
        *,
        limit: int = 0,
        filters: Filters,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sequence[ImageSearchResult]:
        return [ImageSearchResult(star_count=limit, is_official=True, name=term, description="one")]
