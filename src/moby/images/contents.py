"""This file is about reading images out of a store: their documents, platforms, and what of them is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from moby.core.descriptor import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from moby.core.errors import InvalidParameter, NotFound
from moby.core.images import ImageStore
from moby.core.platform import Platform
from moby.images.documents import (
    CONFIG_LIMIT,
    INDEX_DEPTH,
    MANIFEST_LIMIT,
    REFERENCE_DIGEST,
    Document,
    ImageDocument,
    is_attestation,
    is_image_manifest,
    read_document,
    read_image,
)


class Contents:
    """Reads what a store keeps of images. Documents never change, so the last ones are remembered."""

    def __init__(self, store: ImageStore, *, remembered: int = 4096) -> None:
        self._store = store
        self._documents: dict[str, Document] = {}
        self._images: dict[str, ImageDocument] = {}
        self._remembered = remembered

    async def document(self, descriptor: Descriptor) -> Document:
        """A manifest or an index. Raises NotFound if it is not here."""
        found = self._documents.get(descriptor.digest)
        if found is None:
            data = await self._store.content.read(descriptor.digest, limit=MANIFEST_LIMIT)
            found = read_document(data, descriptor.media_type)
            if len(self._documents) >= self._remembered:
                del self._documents[next(iter(self._documents))]
            self._documents[descriptor.digest] = found
        return found

    async def image(self, document: Document) -> ImageDocument:
        """The configuration that a manifest points to. Raises NotFound."""
        if document.config is None:
            raise NotFound("an index has no configuration")
        digest = document.config.digest
        found = self._images.get(digest)
        if found is None:
            found = read_image(await self._store.content.read(digest, limit=CONFIG_LIMIT))
            if len(self._images) >= self._remembered:
                del self._images[next(iter(self._images))]
            self._images[digest] = found
        return found

    def forget(self, digest: str) -> None:
        """A document may be gone."""
        self._documents.pop(digest, None)
        self._images.pop(digest, None)

    async def present(self, digest: str) -> bool:
        """Is this blob here?"""
        try:
            await self._store.content.info(digest)
        except NotFound:
            return False
        return True

    async def manifests(self, target: Descriptor, depth: int = 0) -> list[Descriptor]:
        """The manifests of an image, through its indexes as far as they are here."""
        if target.media_type not in INDEX_TYPES:
            return [target]
        if depth > INDEX_DEPTH:
            raise InvalidParameter(f"indexes of {target.digest} are nested too deeply")
        found = []
        for child in (await self.document(target)).manifests:
            if child.media_type not in INDEX_TYPES:
                found.append(child)
            elif await self.present(child.digest):
                found += await self.manifests(child, depth + 1)
        return found

    async def left_out(self, target: Descriptor, platforms: Sequence[Platform]) -> set[str]:
        """The manifests of an index that are for none of these platforms, nor about one that is.

        None without platforms, and for what is no index.
        """
        if not platforms or target.media_type not in INDEX_TYPES:
            return set()
        manifests = await self.manifests(target)
        fitting = {m.digest for m in manifests if not is_attestation(m) and await self._fits(m, platforms)}
        return {
            m.digest
            for m in manifests
            if m.digest not in fitting and m.annotations.get(REFERENCE_DIGEST) not in fitting
        }

    async def _fits(self, manifest: Descriptor, platforms: Sequence[Platform]) -> bool:
        try:
            platform = await self.platform(manifest)
        except NotFound:
            return False
        return any(platform.fits(wanted) for wanted in platforms)

    async def complete(self, manifest: Descriptor) -> bool:
        """Is a manifest here with all that it points to?"""
        try:
            document = await self.document(manifest)
        except (NotFound, InvalidParameter):
            return False
        return all([await self.present(child.digest) for child in document.children()])

    async def platform(self, manifest: Descriptor) -> Platform:
        """What a manifest says it runs on, or else its configuration."""
        if manifest.platform is not None and manifest.platform.os:
            return manifest.platform
        return (await self.image(await self.document(manifest))).platform

    async def best(self, target: Descriptor, wanted: Platform, *, strict: bool = True) -> Descriptor | None:
        """The manifest for a platform, among those whose configuration is here; None without any.

        If not `strict`, any other platform is better than none.
        """
        found: list[tuple[tuple[bool, bool, str], Descriptor]] = []
        for manifest in await self.manifests(target):
            try:
                document = await self.document(manifest)
                if is_attestation(manifest) or not is_image_manifest(document):
                    continue
                await self.image(document)
                platform = await self.platform(manifest)
            except (NotFound, InvalidParameter):
                continue
            fits = platform.fits(wanted) or not platform.os
            if fits or not strict:
                found.append(((fits, platform.variant == wanted.variant, platform.variant), manifest))
        return max(found, key=lambda each: each[0])[1] if found else None

    async def walk(self, descriptor: Descriptor) -> AsyncIterator[Descriptor]:
        """A descriptor and all that it points to, as far as it is here; each once."""
        seen: set[str] = set()
        waiting = [descriptor]
        while waiting:
            current = waiting.pop()
            if current.digest in seen or not await self.present(current.digest):
                continue
            seen.add(current.digest)
            yield current
            if current.media_type in INDEX_TYPES | MANIFEST_TYPES:
                try:
                    waiting += reversed((await self.document(current)).children())
                except InvalidParameter:
                    continue
