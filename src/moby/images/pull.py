"""This file is about pulling: from a reference to an image that containers can be made of.

The name is resolved at the registry, the manifest for the wanted platform is chosen, its blobs are fetched
side by side into the store's content, and each layer is unpacked as soon as it and the ones below are there.
All of that under a lease; only at the end the image gets its name. What fails or is cancelled before leaves
no image, and what it had fetched is collected.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import msgspec

from moby.core.descriptor import DOCKER_CONFIG, INDEX_TYPES, MANIFEST_TYPES, OCI_CONFIG, Descriptor
from moby.core.errors import (
    DataLoss,
    InvalidParameter,
    MobyError,
    NotFound,
    System,
    Unauthorized,
    Unavailable,
)
from moby.core.images import ImageStore, StoredImage
from moby.core.platform import Platform, host_platform
from moby.core.reference import Reference, dangling_name
from moby.core.types.registries import AuthConfig
from moby.images.documents import (
    CONFIG_LIMIT,
    INDEX_DEPTH,
    LAYER_TYPES,
    REFERENCE_DIGEST,
    Document,
    ImageDocument,
    choose,
    gc_labels,
    is_attestation,
    is_image_manifest,
    read_document,
    read_image,
)
from moby.images.jobs import Report, first_error
from moby.images.referrers import SIGNATURES, keep_referrers
from moby.images.registry.client import Registries, Repository
from moby.images.sources import remember_source, source_label
from moby.images.unpack import Chains, Layers, Locks, Tap

log = logging.getLogger(__name__)

STEP_S = 0.1
# So many blobs of a pull may be on their way, or waiting for their turn, or being written to disk.
_OPEN = 8
_NO_PROGRESS = INDEX_TYPES | MANIFEST_TYPES | {OCI_CONFIG, DOCKER_CONFIG}


class PullRequest(msgspec.Struct, frozen=True):
    """What to pull, and for whom."""

    reference: Reference
    platform: Platform | None = None
    auth: AuthConfig | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)

    def key(self) -> object:
        """Requests with the same key can be answered by one pull."""
        auth = self.auth or AuthConfig()
        who = (auth.username, auth.password, auth.auth, auth.identity_token, auth.registry_token)
        return str(self.reference), self.platform, who, tuple(sorted(self.headers.items()))


class Puller:
    """Pulls images into a store."""

    def __init__(self, store: ImageStore, registries: Registries, chains: Layers | None = None) -> None:
        self._store = store
        self._registries = registries
        self._chains: Layers = chains or Chains(store)
        self._blobs = Locks()

    async def tags(self, request: PullRequest) -> list[str]:
        """The tags of a repository. Raises NotFound in docker's words."""
        repository = self._registries.repository(request.reference, request.auth, headers=request.headers)
        try:
            return await repository.tags()
        except Unauthorized as error:
            raise _denied(request.reference, error) from error
        except Unavailable as error:
            # Not 503: that is about this engine.
            raise System(error.message) from error

    async def pull(self, request: PullRequest, report: Report) -> StoredImage:
        """Pull one image; it has its name when this returns.

        Raises NotFound (no such image or platform, or no access), System, Unavailable, DataLoss.
        """
        reference = request.reference
        repository = self._registries.repository(reference, request.auth, headers=request.headers)
        async with self._store.leases.hold():
            previous = await self._previous(str(reference))
            target = await self._fetch(repository, request, report)
            image = StoredImage(str(reference), target, updated_at=datetime.now(UTC))
            if previous is not None and previous.target.digest != target.digest:
                await self._keep(previous)
            if previous is None or previous.target.digest != target.digest:
                await self._store.put(image)
            await self._drop_dangling(target.digest)
        report.status(f"Digest: {target.digest}")
        newer = previous is None or previous.target.digest != target.digest
        verb = "Downloaded newer image for" if newer else "Image is up to date for"
        report.status(f"Status: {verb} {reference.familiar}")
        return image

    async def _previous(self, name: str) -> StoredImage | None:
        try:
            return await self._store.get(name)
        except NotFound:
            return None

    async def _keep(self, previous: StoredImage) -> None:
        """What is about to lose its last name stays without one."""
        digest = previous.target.digest
        if not any(i.target.digest == digest and i.name != previous.name for i in await self._store.list()):
            await self._store.put(StoredImage(dangling_name(digest), previous.target, previous.labels))

    async def _drop_dangling(self, digest: str) -> None:
        try:
            await self._store.delete(dangling_name(digest))
        except NotFound:
            return

    async def _fetch(self, repository: Repository, request: PullRequest, report: Report) -> Descriptor:
        reference = request.reference
        try:
            target, data = await repository.resolve(reference.digest or reference.tag)
        except Unauthorized as error:
            raise _denied(reference, error) from error
        except NotFound as error:
            raise NotFound(f'failed to resolve reference "{reference}": {reference}: not found') from error
        except (System, Unavailable) as error:
            kind = System if isinstance(error, Unavailable) else type(error)  # see above
            raise kind(f'failed to resolve reference "{reference}": {error.message}') from error
        fetch = _Fetch(self._store, repository, report, self._blobs, self._registries.downloads, self._chains)
        document = await fetch.keep_document(target, data)
        platform = request.platform or host_platform()
        chosen, manifest = target, document
        attestations: list[Descriptor] = []
        depth = 0
        while manifest.is_index:
            depth += 1
            if depth > INDEX_DEPTH:
                raise InvalidParameter(f"indexes of {target.digest} are nested too deeply")
            found = choose(manifest.manifests, platform)
            if found is None:
                raise _no_match(platform)
            attestations += [
                each
                for each in manifest.manifests
                if is_attestation(each) and each.annotations.get(REFERENCE_DIGEST) == found.digest
            ]
            chosen, manifest = found, await fetch.document(found)
        report.status(f"Pulling from {reference.path}", reference.tag or str(reference))
        async with self._kept(target, manifest.layers):
            await self._fetch_image(fetch, chosen, manifest, platform)
            for attestation in attestations:
                await fetch.everything(attestation)
                await fetch.signatures(attestation)
        return target

    @asynccontextmanager
    async def _kept(self, target: Descriptor, layers: list[Descriptor]) -> AsyncIterator[None]:
        """Whoever breaks off, or dies, can go on; what can never become an image is not kept."""
        if all([await is_present(self._store, layer.digest) for layer in layers]):
            yield
            return
        await self._store.leases.keep(target.digest)
        try:
            yield
        except ExceptionGroup as errors:
            error = first_error(errors)
            if not isinstance(error, Unavailable):
                await self._abandon(target, layers)
            raise error from errors
        except Unavailable:
            raise
        except Exception:
            await self._abandon(target, layers)
            raise
        await self._store.leases.let_go(target.digest)

    async def _abandon(self, target: Descriptor, layers: list[Descriptor]) -> None:
        await self._store.leases.let_go(target.digest)
        for layer in layers:
            async with self._blobs.hold(layer.digest):
                await self._store.content.abandon(layer_ref(layer))

    async def _fetch_image(
        self, fetch: _Fetch, descriptor: Descriptor, manifest: Document, platform: Platform
    ) -> None:
        assert manifest.config is not None
        layers = manifest.layers
        image = await fetch.config(manifest.config) if is_image_manifest(manifest) else None
        if image is not None and image.os and not image.platform.fits(platform):
            raise _no_match(platform)
        await fetch.survey(layers)
        async with asyncio.TaskGroup() as group:
            if image is None:
                for blob in {each.digest: each for each in (*layers, manifest.config)}.values():
                    group.create_task(fetch.blob(blob))
                return
            watch = _Watch(fetch.report, group)
            try:
                await self._chains.unpack(
                    layers, image.rootfs.diff_ids, fetch.blob, None if fetch.silent else watch
                )
            finally:
                watch.stop()


class _Fetch:
    """What one pull fetches, and what of it is there."""

    def __init__(
        self,
        store: ImageStore,
        repository: Repository,
        report: Report,
        locks: Locks,
        places: asyncio.Semaphore,
        chains: Layers,
    ) -> None:
        self._store = store
        self._repository = repository
        self.report = report
        self._locks = locks
        self._places = places
        self._open = asyncio.Semaphore(_OPEN)
        self._chains = chains
        self.silent = False
        self._labels = source_label(repository.reference)

    async def document(self, descriptor: Descriptor) -> Document:
        """A manifest that another one points to."""
        try:
            data = await self._store.content.read(descriptor.digest)
        except NotFound:
            found, data = await self._repository.resolve(descriptor.digest)
            if found.size != descriptor.size:
                raise DataLoss(
                    f"manifest {descriptor.digest} has {found.size} bytes instead of {descriptor.size}"
                ) from None
        return await self.keep_document(descriptor, data)

    async def keep_document(self, descriptor: Descriptor, data: bytes) -> Document:
        """Write a manifest or index down, with labels for what it points to."""
        document = read_document(data, descriptor.media_type)
        await self._write(descriptor, _once(data), gc_labels(document))
        await remember_source(self._store, descriptor.digest, self._repository.reference)
        return document

    async def config(self, descriptor: Descriptor) -> ImageDocument:
        """An image's configuration; its label keeps the snapshots of its layers from here on."""
        if descriptor.size > CONFIG_LIMIT:
            raise InvalidParameter(f"image configuration is larger than {CONFIG_LIMIT} bytes")
        await self.blob(descriptor)
        image = read_image(await self._store.content.read(descriptor.digest))
        if labels := self._chains.labels(image.chain):
            await self._store.content.label(descriptor.digest, labels)
        return image

    async def everything(self, descriptor: Descriptor) -> None:
        """A manifest and all of its blobs, as they are."""
        document = await self.document(descriptor)
        for child in document.children():
            await self.blob(child)

    async def signatures(self, attestation: Descriptor) -> None:
        """The signatures of what was stated; an image is one without them, too."""
        try:
            found = await self._repository.referrers(attestation.digest)
            signatures = [each for each in found if each.artifact_type in SIGNATURES]
            for signature in signatures:
                await self.everything(signature)
            await keep_referrers(self._store, attestation.digest, signatures)
        except MobyError as error:
            log.warning("no signatures", extra={"digest": attestation.digest, "error": error.message})

    async def survey(self, layers: list[Descriptor]) -> None:
        """If every layer is here already, nothing is told of them."""
        present = [await is_present(self._store, layer.digest) for layer in layers]
        self.silent = all(present)
        if not self.silent:
            for layer in layers:
                if layer.media_type in LAYER_TYPES:
                    self.report.step(short(layer.digest), "Pulling fs layer")

    async def blob(self, descriptor: Descriptor, tap: Tap | None = None) -> bool:
        """Fetch a blob if it is not here; True if that was so, and `tap` has been given every piece."""
        tell = descriptor.media_type not in _NO_PROGRESS and not self.silent
        part = short(descriptor.digest)
        stream = _Stream(self._repository, descriptor, self._places, tap, self._tell if tell else None)
        async with self._locks.hold(descriptor.digest):
            fetched = not await self._take(descriptor)
            if fetched:
                async with self._open, stream:
                    if descriptor.media_type in LAYER_TYPES:
                        await self._resume(descriptor, stream)
                    else:
                        await self._write(descriptor, stream.begin(0), self._labels)
        if tell:
            self.report.step(part, "Download complete" if fetched else "Already exists", hide_counts=True)
        return fetched and stream.whole

    async def _take(self, descriptor: Descriptor) -> bool:
        """Put a blob under this lease if it is here, which it may be until somebody removes an image."""
        if not await is_present(self._store, descriptor.digest):
            return False
        await self._store.leases.hold_on("content", descriptor.digest)
        try:
            await self._store.content.label(descriptor.digest, self._labels)
        except NotFound:
            return False
        return True

    async def _resume(self, descriptor: Descriptor, stream: _Stream) -> None:
        """Fetch what is missing of a layer; its manifest, which is leased, keeps it."""
        for last in (False, True):
            try:
                await self._store.content.resume(
                    layer_ref(descriptor),
                    stream.begin,
                    size=descriptor.size,
                    digest=descriptor.digest,
                    labels=self._labels,
                )
            except DataLoss:
                if last or stream.whole:
                    raise
                log.warning("what was left of a layer is bad", extra={"digest": descriptor.digest})
            else:
                return

    def _tell(self, descriptor: Descriptor, current: int) -> None:
        self.report.progress(short(descriptor.digest), "Downloading", current, descriptor.size)

    async def _write(
        self, descriptor: Descriptor, chunks: AsyncIterator[bytes], labels: Mapping[str, str]
    ) -> None:
        await self._store.content.write(
            f"blob-{descriptor.digest}",
            chunks,
            size=descriptor.size,
            digest=descriptor.digest,
            labels=labels,
        )


class _Stream:
    """A blob on its way: told of, and given to whoever wants all of it from its first byte.

    It has one of the `places` only while it comes: what follows, as having it on disk, holds up no other.
    An async context manager, at whose end it does not come any more.
    """

    def __init__(
        self,
        repository: Repository,
        descriptor: Descriptor,
        places: asyncio.Semaphore,
        tap: Tap | None,
        tell: Callable[[Descriptor, int], None] | None,
    ) -> None:
        self._repository = repository
        self._descriptor = descriptor
        self._places = places
        self._tap = tap
        self._tell = tell
        self._begun = AsyncExitStack()
        self.whole = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._begun.aclose()

    def begin(self, offset: int) -> AsyncIterator[bytes]:
        """The chunks from `offset`."""
        if offset:
            self.whole = False
        chunks = self._chunks(offset)
        self._begun.push_async_callback(chunks.aclose)
        return chunks

    async def _chunks(self, offset: int) -> AsyncGenerator[bytes, None]:
        said = 0.0
        async with self._places:
            async for chunk in self._repository.blob(self._descriptor, offset):
                if self._tap is not None and self.whole:
                    await self._tap.feed(chunk)
                yield chunk
                offset += len(chunk)
                if self._tell is not None and (now := time.monotonic()) - said >= STEP_S:
                    said = now
                    self._tell(self._descriptor, offset)


class _Watch:
    """Tells how unpacking goes; while a layer is being unpacked, every second."""

    def __init__(self, report: Report, group: asyncio.TaskGroup) -> None:
        self._report = report
        self._group = group
        self._ticking: dict[str, asyncio.Task[None]] = {}

    def extracting(self, layer: Descriptor) -> None:
        if layer.digest not in self._ticking:
            self._ticking[layer.digest] = self._group.create_task(self._tick(short(layer.digest)))

    async def _tick(self, part: str) -> None:
        seconds = 1
        while True:
            self._report.progress(part, "Extracting", seconds, units="s")
            await asyncio.sleep(1)
            seconds += 1

    def unpacked(self, layer: Descriptor) -> None:
        if (ticking := self._ticking.pop(layer.digest, None)) is not None:
            ticking.cancel()
        self._report.step(short(layer.digest), "Pull complete", hide_counts=True)

    def stop(self) -> None:
        """Say no more."""
        for ticking in self._ticking.values():
            ticking.cancel()


async def is_present(store: ImageStore, digest: str) -> bool:
    """Is this blob here?"""
    try:
        await store.content.info(digest)
    except NotFound:
        return False
    return True


def layer_ref(layer: Descriptor) -> str:
    """Under which name a layer is written as long as it is not complete."""
    return f"layer-{layer.digest}"


def short(digest: str) -> str:
    """A digest as progress shows it."""
    return digest.partition(":")[2][:12]


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _denied(reference: Reference, error: Unauthorized) -> MobyError:
    if error.message == "no basic auth credentials":
        # Not 401: that is about who may use the engine, and makes docker's client ask for a password.
        return System(f'failed to resolve reference "{reference}": failed to authorize: {error.message}')
    return NotFound(
        f"pull access denied for {reference.familiar_name}, repository does not exist "
        "or may require 'docker login'"
    )


def _no_match(platform: Platform) -> NotFound:
    return NotFound(
        f"no matching manifest for {platform} in the manifest list entries: "
        "no match for platform in manifest: not found"
    )
