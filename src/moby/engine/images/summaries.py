"""This file is about what an image is made of: its manifests, their platforms, sizes and users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.errors import InvalidParameter, NotFound
from moby.core.images import ImageStore, StoredImage
from moby.core.platform import Platform
from moby.core.types.images import (
    AttestationProperties,
    ImageProperties,
    ImagePropertiesSize,
    ManifestSize,
    ManifestSummary,
)
from moby.engine.images.lookup import ImageUser
from moby.images.contents import Contents
from moby.images.documents import REFERENCE_DIGEST, ImageDocument, is_attestation, is_image_manifest


class Overview(msgspec.Struct):
    """An image with all of its manifests; `best` is the one that is shown, if any fits."""

    image: StoredImage
    manifests: list[ManifestSummary] = msgspec.field(default_factory=list)
    chains: set[str] = msgspec.field(default_factory=set)
    blobs: dict[str, int] = msgspec.field(default_factory=dict)
    size: int = 0
    containers: int = 0
    best: Descriptor | None = None
    document: ImageDocument | None = None
    best_size: int = 0


class Overviews:
    """Looks images over. What a committed snapshot takes never changes, so it is asked once."""

    def __init__(self, store: ImageStore, contents: Contents) -> None:
        self._store = store
        self._contents = contents
        self._usage: dict[str, int] = {}

    async def sizes(self) -> Mapping[str, int]:
        """Every blob that is here, with its size."""
        return {info.digest: info.size async for info in self._store.content.walk()}

    async def look(
        self,
        image: StoredImage,
        wanted: Platform,
        users: Sequence[ImageUser],
        here: Mapping[str, int],
        *,
        strict: bool,
    ) -> Overview:
        """Everything about one image; `here` are the blobs that are here."""
        overview = Overview(image)
        rank: tuple[bool, bool, str] | None = None
        try:
            manifests = await self._contents.manifests(image.target)
        except (NotFound, InvalidParameter):
            return overview
        if image.target.digest in here:
            overview.blobs[image.target.digest] = here[image.target.digest]
        for manifest in manifests:
            summary = ManifestSummary(id=manifest.digest, descriptor=manifest, kind="unknown")
            overview.manifests.append(summary)
            document = await self._content(manifest, summary, overview, here)
            if document is None:
                continue
            platform = manifest.platform if manifest.platform and manifest.platform.os else document.platform
            await self._image(summary, overview, document, platform, users)
            fits = platform.fits(wanted) or not platform.os
            order = (fits, platform.variant == wanted.variant, platform.variant)
            if (fits or not strict) and (rank is None or order > rank):
                rank, overview.best, overview.document = order, manifest, document
                overview.best_size = summary.size.total
        return overview

    async def _content(
        self, manifest: Descriptor, summary: ManifestSummary, overview: Overview, here: Mapping[str, int]
    ) -> ImageDocument | None:
        """Count a manifest's content; its configuration, if it is an image's and here."""
        if is_attestation(manifest):
            summary.kind = "attestation"
            summary.attestation_data = AttestationProperties(
                for_=manifest.annotations.get(REFERENCE_DIGEST, "")
            )
        if manifest.digest not in here:
            return None
        try:
            document = await self._contents.document(manifest)
        except (NotFound, InvalidParameter):
            return None
        parts = {manifest.digest, *(child.digest for child in document.children())}
        present = {digest: here[digest] for digest in parts if digest in here}
        summary.available = len(present) == len(parts)
        content = sum(present.values())
        summary.size = ManifestSize(content=content, total=content)
        overview.blobs |= present
        overview.size += content
        if is_attestation(manifest) or not is_image_manifest(document):
            return None
        summary.kind = "image"
        try:
            return await self._contents.image(document)
        except (NotFound, InvalidParameter):
            return None

    async def _image(
        self,
        summary: ManifestSummary,
        overview: Overview,
        document: ImageDocument,
        platform: Platform,
        users: Iterable[ImageUser],
    ) -> None:
        chains = document.chains()
        unpacked = sum([await self.usage(chain) for chain in chains])
        containers = [user.container for user in users if user.manifest == summary.id]
        summary.image_data = ImageProperties(
            platform=platform, size=ImagePropertiesSize(unpacked=unpacked), containers=containers
        )
        summary.size.total += unpacked
        overview.size += unpacked
        overview.containers += len(containers)
        overview.chains |= set(chains)

    async def usage(self, chain: str) -> int:
        """The bytes that a layer takes unpacked; 0 if it is not."""
        if chain not in self._usage:
            try:
                self._usage[chain] = (await self._store.snapshotter.usage(chain)).size
            except NotFound:
                return 0
        return self._usage[chain]

    def forget(self) -> None:
        """Snapshots have been removed."""
        self._usage.clear()
