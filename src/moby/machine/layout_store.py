"""This file is about the image cache as a store like any other: what pulls, pushes and saves works on it.

There are no file systems in it, and nothing is collected behind anybody's back: `prune` removes what no name
leads to.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from moby.core.content import ContentInfo, ContentStore, Leases
from moby.core.descriptor import Descriptor
from moby.core.digest import check_digest
from moby.core.errors import DataLoss, InvalidParameter, NotFound, NotImplemented
from moby.core.images import ImageStore, StoredImage
from moby.host.files import translation
from moby.host.threads import blocking
from moby.images.documents import read_document
from moby.machine.cache import ImageCache

_CHUNK = 1 << 20


class LayoutContent(ContentStore):
    """Blobs as files; what a broken write leaves is kept beside them, and gone on with."""

    def __init__(self, cache: ImageCache) -> None:
        self.cache = cache
        self._growing: set[Path] = set()

    async def info(self, digest: str) -> ContentInfo:
        """See `ContentStore.info`; there are no labels."""
        try:
            return ContentInfo(digest, self.cache.blob(digest).stat().st_size)
        except FileNotFoundError as error:
            raise NotFound(f"content {digest}: not found") from error

    async def read(self, digest: str, *, limit: int = 8 << 20) -> bytes:
        """See `ContentStore.read`."""
        await self.info(digest)
        return await blocking(self.cache.read, digest, limit)

    async def stream(self, digest: str, *, offset: int = 0) -> AsyncIterator[bytes]:
        """See `ContentStore.stream`."""
        await self.info(digest)
        with translation(f"cannot read blob {digest}"), self.cache.blob(digest).open("rb") as file:
            file.seek(offset)
            while chunk := await blocking(file.read, _CHUNK):
                yield chunk

    async def write(
        self,
        ref: str,
        chunks: AsyncIterator[bytes],
        *,
        size: int | None = None,
        digest: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> ContentInfo:
        """See `ContentStore.write`."""
        if digest is not None and self.cache.has(digest):
            return await self.info(digest)
        with self.cache.writing(digest or "") as blob:
            async for chunk in chunks:
                await blocking(blob.feed, chunk)
            if size is not None and blob.size != size:
                raise DataLoss(f"blob {digest or ref} has {blob.size} bytes instead of {size}")
        return ContentInfo(blob.digest, blob.size)

    async def resume(
        self,
        ref: str,
        source: Callable[[int], AsyncIterator[bytes]],
        *,
        size: int,
        digest: str,
        labels: Mapping[str, str] | None = None,
    ) -> ContentInfo:
        """See `ContentStore.resume`; what is left stays until it is gone on with."""
        if self.cache.has(digest):
            return await self.info(digest)
        self.cache.prepare()
        part = self.part(ref)
        self._growing.add(part)
        try:
            return await self._grow(part, ref, source, size, digest)
        finally:
            self._growing.discard(part)

    async def _grow(
        self, part: Path, ref: str, source: Callable[[int], AsyncIterator[bytes]], size: int, digest: str
    ) -> ContentInfo:
        with translation("cannot write to the image cache"):
            old = part.stat().st_size if part.exists() else 0
            await self._continue(part, source, size)
            try:
                await blocking(_check, part, size, digest)
            except DataLoss:
                part.unlink()
                if not old:
                    raise
                # What was left may have been bad.
                return await self.resume(ref, source, size=size, digest=digest)
            part.rename(self.cache.blob(digest))
        return ContentInfo(digest, size)

    async def _continue(self, part: Path, source: Callable[[int], AsyncIterator[bytes]], size: int) -> None:
        with part.open("ab") as file:
            if (have := file.tell()) < size:
                async for chunk in source(have):
                    await blocking(file.write, chunk)
            await blocking(_sync, file)

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """See `ContentStore.label`: a layout has none, and needs none to keep what it has."""
        await self.info(digest)

    async def abandon(self, ref: str) -> None:
        """See `ContentStore.abandon`."""
        self.part(ref).unlink(missing_ok=True)

    async def abandon_all(self) -> None:
        """See `ContentStore.abandon_all`; what another process goes on with is not known here."""
        for part in (self.cache.root / "blobs").glob(".part-*"):
            if part not in self._growing:
                part.unlink(missing_ok=True)

    async def delete(self, digest: str) -> None:
        """See `ContentStore.delete`."""
        self.cache.blob(digest).unlink(missing_ok=True)

    async def walk(self) -> AsyncIterator[ContentInfo]:
        """See `ContentStore.walk`."""
        blobs = self.cache.root / "blobs"
        for path in sorted(blobs.glob("*/*")):
            yield ContentInfo(f"{path.parent.name}:{path.name}", path.stat().st_size)

    def part(self, ref: str) -> Path:
        """Where an unfinished write is."""
        name = hashlib.sha256(ref.encode()).hexdigest()[:32]
        return self.cache.root / "blobs" / f".part-{name}"


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _check(path: Path, size: int, digest: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, check_digest(digest).partition(":")[0])
        if file.tell() != size or f"{found.name}:{found.hexdigest()}" != digest:
            raise DataLoss(f"blob {digest} came as {found.name}:{found.hexdigest()}")


class LayoutLeases(Leases):
    """Nothing is collected, so nothing has to be kept from it."""

    @asynccontextmanager
    async def hold(self, *, hours: float = 24.0, collect: bool = False) -> AsyncIterator[None]:
        """See `Leases.hold`."""
        yield

    async def hold_on(self, kind: str, name: str) -> None:
        """See `Leases.hold_on`."""

    async def keep(self, digest: str, *, hours: float = 24.0) -> None:
        """See `Leases.keep`."""

    async def let_go(self, digest: str = "") -> None:
        """See `Leases.let_go`."""


class LayoutImages(ImageStore):
    """The images of a cache."""

    def __init__(self, cache: ImageCache) -> None:
        self._cache = cache
        self._content = LayoutContent(cache)
        self._leases = LayoutLeases()

    @property
    def content(self) -> LayoutContent:
        """See `ImageStore.content`."""
        return self._content

    @property
    def leases(self) -> Leases:
        """See `ImageStore.leases`."""
        return self._leases

    @property
    def snapshotter(self) -> NoReturn:
        """There are no file systems in a layout. Raises NotImplemented."""
        raise NotImplemented("an OCI layout has no file systems")

    @property
    def differ(self) -> NoReturn:
        """There are no file systems in a layout. Raises NotImplemented."""
        raise NotImplemented("an OCI layout has no file systems")

    async def get(self, name: str) -> StoredImage:
        """See `ImageStore.get`."""
        target = self._cache.names().get(name)
        if target is None:
            raise NotFound(f'image "{name}": not found')
        return StoredImage(name, target)

    async def put(self, image: StoredImage) -> None:
        """See `ImageStore.put`."""
        await blocking(self._cache.name, image.name, image.target)

    async def delete(self, name: str, *, sync: bool = False) -> None:
        """See `ImageStore.delete`."""
        await self.get(name)
        await blocking(self._cache.name, name, None)

    async def list(self) -> Sequence[StoredImage]:
        """See `ImageStore.list`."""
        return [StoredImage(name, target) for name, target in self._cache.names().items()]

    async def prune(self) -> tuple[int, int]:
        """Remove what no name leads to; how many blobs, and how many bytes."""
        kept: set[str] = set()
        waiting = list(self._cache.names().values())
        while waiting:
            current = waiting.pop()
            if current.digest in kept or not self._cache.has(current.digest):
                continue
            kept.add(current.digest)
            waiting += await self._children(current)
        count = freed = 0
        async for blob in self._content.walk():
            if blob.digest not in kept:
                await self._content.delete(blob.digest)
                count, freed = count + 1, freed + blob.size
        return count, freed

    async def _children(self, descriptor: Descriptor) -> Sequence[Descriptor]:
        with suppress(InvalidParameter):
            document = read_document(await self._content.read(descriptor.digest), descriptor.media_type)
            return document.children()
        return ()
