"""This file is about saving: images as an OCI layout in a tar that older programs read as well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from moby.core.descriptor import INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, Descriptor
from moby.core.errors import DataLoss
from moby.core.images import ImageStore
from moby.core.platform import Platform, host_platform
from moby.core.reference import Reference
from moby.images.contents import Contents
from moby.images.documents import IMAGE_NAME, REF_NAME, Document
from moby.images.referrers import SUBJECT, kept_referrers
from moby.images.tars import END, header, padding


class Saved(msgspec.Struct, frozen=True):
    """An image to save; without a reference it will have no name."""

    target: Descriptor
    reference: Reference | None = None


class Saver:
    """Writes archives out of a store."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._contents = Contents(store)

    async def save(self, images: Sequence[Saved], platforms: Sequence[Platform] = ()) -> AsyncIterator[bytes]:
        """An archive in chunks; what of an index is not here is left out."""
        blobs: dict[str, Descriptor] = {}
        referrers: dict[str, Descriptor] = {}
        for image in images:
            async for descriptor in self._wanted(image.target, platforms):
                blobs.setdefault(descriptor.digest, descriptor)
                if descriptor.annotations.get(SUBJECT):
                    referrers.setdefault(descriptor.digest, descriptor)
        top = [*(_named(image) for image in images), *referrers.values()]
        docker = await self._docker_manifest(images, platforms)
        yield header("blobs/", 0, directory=True) + header("blobs/sha256/", 0, directory=True)
        for digest in sorted(blobs):
            async for chunk in self._blob(blobs[digest]):
                yield chunk
        index = Document(media_type=OCI_INDEX, manifests=top)
        yield _file("index.json", msgspec.json.encode(index))
        if docker:
            yield _file("manifest.json", msgspec.json.encode(docker))
        yield _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        yield END

    async def _wanted(self, target: Descriptor, platforms: Sequence[Platform]) -> AsyncIterator[Descriptor]:
        """An image's parts that are here, of these platforms only if there are any."""
        left_out = await self._contents.left_out(target, platforms)
        kept: set[str] = set()
        async for descriptor in self._walk(target, left_out):
            if descriptor.digest not in kept:
                kept.add(descriptor.digest)
                yield descriptor

    async def _walk(self, top: Descriptor, left_out: set[str]) -> AsyncIterator[Descriptor]:
        waiting = [top]
        while waiting:
            current = waiting.pop()
            if current.digest in left_out or not await self._contents.present(current.digest):
                continue
            yield current
            if current.media_type in INDEX_TYPES | MANIFEST_TYPES:
                waiting += (await self._contents.document(current)).children()
                waiting += await kept_referrers(self._store, self._contents, current.digest)

    async def _blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        algorithm, _, encoded = descriptor.digest.partition(":")
        yield header(f"blobs/{algorithm}/{encoded}"[:100], descriptor.size)
        written = 0
        async for chunk in self._store.content.stream(descriptor.digest):
            written += len(chunk)
            yield chunk
        if written != descriptor.size:
            raise DataLoss(f"content {descriptor.digest} has {written} bytes instead of {descriptor.size}")
        yield padding(written)

    async def _docker_manifest(
        self, images: Sequence[Saved], platforms: Sequence[Platform]
    ) -> list[dict[str, Any]]:
        """What older programs read: one manifest an image, the one for this host if there is a choice."""
        found: dict[str, dict[str, Any]] = {}
        wanted = platforms[0] if platforms else host_platform()
        for image in images:
            best = await self._contents.best(image.target, wanted, strict=bool(platforms))
            if best is None:
                continue
            document = await self._contents.document(best)
            if document.config is None:
                continue
            entry = found.setdefault(
                best.digest,
                {
                    "Config": _path(document.config),
                    "RepoTags": None,
                    "Layers": [_path(layer) for layer in document.layers],
                },
            )
            if image.reference is not None and image.reference.tag:
                entry["RepoTags"] = [*(entry["RepoTags"] or []), image.reference.familiar]
        return list(found.values())


def _path(descriptor: Descriptor) -> str:
    return f"blobs/{descriptor.digest.replace(':', '/')}"


def _named(image: Saved) -> Descriptor:
    annotations = {k: v for k, v in image.target.annotations.items() if k not in (IMAGE_NAME, REF_NAME)}
    if image.reference is not None:
        annotations[IMAGE_NAME] = str(image.reference)
        annotations[REF_NAME] = image.reference.tag or image.reference.digest
    return msgspec.structs.replace(image.target, annotations=annotations)


def _file(name: str, data: bytes) -> bytes:
    return header(name, len(data)) + data + padding(len(data))
