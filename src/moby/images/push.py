"""This file is about pushing: an image's blobs, then the manifests that name them, to a registry.

What the registry has is not sent again, and what another repository of it has is mounted from there. If parts
of a multi-platform image are not here, the manifest of the one platform that is complete is pushed instead of
the index, and the client is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from moby.core.descriptor import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from moby.core.errors import Conflict, Forbidden, MobyError, NotFound, Unauthorized
from moby.core.images import ImageStore, StoredImage
from moby.core.platform import Platform, host_platform
from moby.core.reference import Reference
from moby.core.types.registries import AuthConfig
from moby.images.contents import Contents
from moby.images.documents import LAYER_TYPES, is_attestation
from moby.images.jobs import Report
from moby.images.pull import STEP_S, short
from moby.images.registry.client import Registries, Repository
from moby.images.registry.upload import Sent, push_blob, push_manifest
from moby.images.sources import remember_source, source_label


class PushRequest(msgspec.Struct, frozen=True):
    """What to push, and for whom."""

    reference: Reference
    platform: Platform | None = None
    auth: AuthConfig | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class Pusher:
    """Pushes images out of a store."""

    def __init__(self, store: ImageStore, registries: Registries) -> None:
        self._store = store
        self._registries = registries
        self._contents = Contents(store)

    async def push(self, request: PushRequest, report: Report) -> Descriptor:
        """Push one image by its name; what was pushed.

        Raises NotFound (`tag does not exist`), Unauthorized, Forbidden, Unavailable.
        """
        reference = request.reference
        try:
            image = await self._store.get(str(reference))
        except NotFound as error:
            raise NotFound(f"tag does not exist: {reference.familiar}") from error
        repository = self._registries.repository(reference, request.auth, push=True, headers=request.headers)
        async with self._store.leases.hold():
            target = await self._choose(image, request.platform)
            try:
                await _Push(self._store, self._registries, repository, report).tree(target, top=True)
            except (Unauthorized, Forbidden) as error:
                raise _denied(error) from error
        if target.digest != image.target.digest and request.platform is None:
            report.aux(
                {
                    "manifestPushedInsteadOfIndex": True,
                    "originalIndex": image.target,
                    "selectedManifest": target,
                }
            )
        if reference.tag:
            report.status(f"{reference.tag}: digest: {target.digest} size: {target.size}")
        return target

    async def _choose(self, image: StoredImage, platform: Platform | None) -> Descriptor:
        """The whole image, or the manifest of one platform of it."""
        if image.target.media_type not in INDEX_TYPES:
            if platform is not None:
                found = await self._contents.best(image.target, platform)
                if found is None:
                    raise _not_provided(image, platform)
            return image.target
        manifests = await self._contents.manifests(image.target)
        complete = [m for m in manifests if await self._contents.complete(m)]
        if platform is None and len(complete) == len(manifests):
            return image.target
        wanted = platform or host_platform()
        fitting = [
            each
            for each in complete
            if not is_attestation(each) and (await self._contents.platform(each)).fits(wanted)
        ]
        if not fitting:
            raise _not_provided(image, platform)
        if len(fitting) > 1 and platform is not None:
            raise Conflict(f"multiple manifests found for platform {platform}")
        return fitting[0]


class _Push:
    """One push: what is sent, and what was."""

    def __init__(
        self, store: ImageStore, registries: Registries, repository: Repository, report: Report
    ) -> None:
        self._store = store
        self._places = registries.uploads
        self._repository = repository
        self._report = report

    async def tree(self, descriptor: Descriptor, *, top: bool = False) -> None:
        """A manifest or an index after everything that it points to."""
        contents = Contents(self._store)
        document = await contents.document(descriptor)
        blobs: dict[str, Descriptor] = {}
        for child in document.children():
            if child.media_type in INDEX_TYPES | MANIFEST_TYPES:
                await self.tree(child)
            elif not child.urls:
                blobs[child.digest] = child
        for blob in blobs.values():
            if blob.media_type in LAYER_TYPES:
                self._report.step(short(blob.digest), "Preparing")
        async with asyncio.TaskGroup() as group:
            for blob in blobs.values():
                group.create_task(self._blob(blob))
        reference = self._repository.reference
        name = reference.tag if top and reference.tag else descriptor.digest
        data = await self._store.content.read(descriptor.digest)
        await push_manifest(self._repository, descriptor, data, name)
        await remember_source(self._store, descriptor.digest, self._repository.reference)

    async def _blob(self, blob: Descriptor) -> None:
        part = short(blob.digest)
        tell = blob.media_type in LAYER_TYPES
        if tell:
            self._report.step(part, "Waiting")
        async with self._places:
            sources = await self._mountable(blob.digest)
            sent, source = await push_blob(
                self._repository, blob, lambda: self._read(blob, tell), mount_from=sources
            )
        if tell:
            match sent:
                case Sent.EXISTED:
                    self._report.step(part, "Layer already exists")
                case Sent.MOUNTED:
                    self._report.step(part, f"Mounted from {source}")
                case Sent.PUSHED:
                    self._report.step(part, "Pushed")
        await remember_source(self._store, blob.digest, self._repository.reference)

    async def _read(self, blob: Descriptor, tell: bool) -> AsyncIterator[bytes]:
        current, said = 0, 0.0
        async for chunk in self._store.content.stream(blob.digest):
            current += len(chunk)
            if tell and (now := time.monotonic()) - said >= STEP_S:
                said = now
                self._report.progress(short(blob.digest), "Pushing", current, blob.size)
            yield chunk

    async def _mountable(self, digest: str) -> list[str]:
        """Other repositories that had this blob at this registry, or one of the same name on another port."""
        reference = self._repository.reference
        known = (await self._store.content.info(digest)).labels
        return [
            path
            for key in source_label(reference)
            for path in known.get(key, "").split(",")
            if path not in ("", reference.path)
        ]


def _not_provided(image: StoredImage, platform: Platform | None) -> NotFound:
    what = f"the specified platform ({platform})" if platform else "any platform"
    return NotFound(f"image with reference {image.name} was found but does not provide {what}")


def _denied(error: MobyError) -> MobyError:
    if error.message.startswith("error from registry"):
        return error
    said: Any = error.fields.get("said") or error.message
    return type(error)(
        f"push access denied, repository does not exist or may require authorization: server message: {said}"
    )


__all__ = ["PushRequest", "Pusher"]
