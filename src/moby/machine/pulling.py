"""This file is about fetching images from registries into the cache, as whoever the user is there."""

from __future__ import annotations

import asyncio

from moby.core.descriptor import Descriptor
from moby.core.errors import InvalidParameter, NotFound
from moby.core.platform import Platform
from moby.core.reference import Reference
from moby.host.threads import blocking
from moby.images.documents import Document, choose, read_document
from moby.images.registry.client import Registries, Repository
from moby.machine.cache import ImageCache
from moby.machine.credentials import credentials


class Fetcher:
    """Fetches images for one platform; what is in the cache is not fetched again."""

    def __init__(self, cache: ImageCache, registries: Registries, platform: Platform) -> None:
        self._cache = cache
        self._registries = registries
        self._platform = platform

    async def fetch(self, reference: Reference) -> Descriptor:
        """The image of a tag or digest; the index of several platforms is kept, the image of ours is fetched.

        Raises NotFound, Unauthorized, Unavailable, DataLoss. Cancellation: whole blobs stay in the cache.
        """
        reference = reference.with_default_tag()
        auth = await credentials(reference.domain)
        repository = self._registries.repository(reference, auth)
        target, data = await repository.resolve(reference.digest or reference.tag)
        await blocking(self._cache.write, [data], target.digest)
        document = read_document(data, target.media_type)
        while document.is_index:
            chosen = choose(document.manifests, self._platform)
            if chosen is None:
                raise NotFound(f"{reference.familiar} has no image for {self._platform}")
            document = await self._document(repository, chosen)
        async with asyncio.TaskGroup() as group:
            for digest in {child.digest: child for child in document.children()}.values():
                group.create_task(self._blob(repository, digest))
        return target

    async def _document(self, repository: Repository, descriptor: Descriptor) -> Document:
        if self._cache.has(descriptor.digest):
            data = self._cache.read(descriptor.digest)
        else:
            found, data = await repository.resolve(descriptor.digest)
            if found.size != descriptor.size:
                raise InvalidParameter(f"manifest {descriptor.digest} is not as long as its index says")
            await blocking(self._cache.write, [data], descriptor.digest)
        return read_document(data, descriptor.media_type)

    async def _blob(self, repository: Repository, descriptor: Descriptor) -> None:
        if self._cache.has(descriptor.digest):
            return
        async with self._registries.downloads:
            with self._cache.writing(descriptor.digest) as blob:
                async for chunk in repository.blob(descriptor):
                    await blocking(blob.feed, chunk)
