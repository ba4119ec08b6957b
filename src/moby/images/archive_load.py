"""This file is about loading archives: an OCI layout, or what `docker save` has written at any time.

The archive is read once, as it comes. Every file but the few small ones that say what is in it goes straight
into the store's content, under a lease: nothing is kept on disk beside it, and what no image turns out to
need is collected.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence

import msgspec

from moby.core.codec import decode
from moby.core.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_LAYER_ZSTD,
    Descriptor,
)
from moby.core.digest import digest_of, is_digest
from moby.core.errors import DataLoss, InvalidParameter, NotFound
from moby.core.images import ImageStore
from moby.core.platform import Platform
from moby.images.ahead import LOOK, Ahead, Coming, looks_like_layer
from moby.images.compression import detect, peek, plain
from moby.images.contents import Contents
from moby.images.documents import (
    CONFIG_LIMIT,
    IMAGE_NAME,
    REF_NAME,
    Document,
    encode_document,
    gc_labels,
    read_document,
    read_image,
)
from moby.images.jobs import first_error
from moby.images.referrers import SUBJECT, keep_referrers
from moby.images.tars import Entry, TarReader, inside
from moby.images.unpack import UNCOMPRESSED

_SMALL = {"index.json", "manifest.json", "oci-layout", "repositories"}
_SMALL_LIMIT = 4 << 20
_LINKS = 40
_AT_ONCE = 3


class Loaded(msgspec.Struct, frozen=True):
    """An image that an archive brought; without a name if it had none."""

    target: Descriptor
    name: str = ""


class _Archive(msgspec.Struct):
    """What was found in an archive."""

    small: dict[str, bytes] = msgspec.field(default_factory=dict)
    blobs: dict[str, Descriptor] = msgspec.field(default_factory=dict)
    links: dict[str, str] = msgspec.field(default_factory=dict)

    def blob(self, name: str) -> Descriptor:
        """Where a file's content went, through links."""
        for _ in range(_LINKS):
            if name in self.blobs:
                return self.blobs[name]
            if name not in self.links:
                break
            name = self.links[name]
        raise NotFound(f"invalid archive: {name!r} is missing")


class _DockerImage(msgspec.Struct, rename="pascal"):
    config: str = ""
    repo_tags: list[str] = msgspec.field(default_factory=list)
    layers: list[str] = msgspec.field(default_factory=list)


class Loader:
    """Takes images out of archives; the caller holds the lease and names what comes out."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    async def load(
        self,
        chunks: AsyncIterator[bytes],
        ahead: Ahead | None = None,
        platforms: Sequence[Platform] = (),
    ) -> Sequence[Loaded]:
        """The images of an archive, their content in the store. Raises InvalidParameter, NotFound.

        What looks like a layer is unpacked `ahead` meanwhile. Of an index only what is for `platforms` is
        kept together, or all of it.
        """
        try:
            archive = await self._read(plain(chunks), ahead)
        except ExceptionGroup as errors:
            raise first_error(errors) from errors
        if "index.json" in archive.small:
            loaded = await self._layout(archive, platforms)
        elif "manifest.json" in archive.small:
            loaded = await self._docker(archive)
        else:
            raise InvalidParameter(
                "unrecognized image format: neither index.json nor manifest.json in archive"
            )
        if not loaded:
            raise InvalidParameter("archive holds no image")
        return loaded

    async def _read(self, chunks: AsyncIterator[bytes], ahead: Ahead | None) -> _Archive:
        archive = _Archive()
        stream = _Stream(chunks)
        writing = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while (entry := await stream.entry()) is not None:
                if entry.kind in ("link", "symlink"):
                    archive.links[entry.name] = entry.target
                elif entry.kind == "file" and entry.name in _SMALL:
                    archive.small[entry.name] = await _small(entry, stream)
                elif entry.kind == "file":
                    # What comes last, that a file is on disk, is waited for while the next one is read.
                    await writing.acquire()
                    pipe = _Pipe()
                    task = group.create_task(self._file(archive, entry, pipe, ahead))
                    task.add_done_callback(lambda _: writing.release())
                    async for chunk in stream.content():
                        await pipe.put(chunk)
                    await pipe.put(b"")
        return archive

    async def _file(self, archive: _Archive, entry: Entry, pipe: _Pipe, ahead: Ahead | None) -> None:
        parts = entry.name.split("/")
        expected = ":".join(parts[1:]) if len(parts) == 3 and parts[0] == "blobs" else ""
        if expected and not is_digest(expected):
            raise InvalidParameter(f"invalid archive: {entry.name[:200]!r} is no blob")
        ref = f"load-{os.urandom(8).hex()}"
        start, chunks = await peek(pipe.chunks(), LOOK)
        wanted = ahead is not None and looks_like_layer(start) and not await self._is_unpacked(expected)
        coming = ahead.coming(entry.size) if ahead is not None and wanted else None
        blob = None
        try:
            given = chunks if coming is None else _tapped(chunks, coming)
            info = await self._store.content.write(ref, given, size=entry.size, digest=expected or None)
            blob = archive.blobs[entry.name] = Descriptor("", info.digest, entry.size)
        except DataLoss as error:
            raise InvalidParameter(f"invalid archive: {entry.name}: {error.message}") from error
        finally:
            pipe.close()
            came_by = coming is not None and coming.end(blob)
        if ahead is not None and wanted and not came_by and UNCOMPRESSED not in info.labels:
            ahead.begin(blob)

    async def _is_unpacked(self, digest: str) -> bool:
        """Is this blob here already, and was it unpacked?"""
        try:
            return bool(digest) and UNCOMPRESSED in (await self._store.content.info(digest)).labels
        except NotFound:
            return False

    async def _layout(self, archive: _Archive, platforms: Sequence[Platform]) -> Sequence[Loaded]:
        index = read_document(archive.small["index.json"], OCI_INDEX)
        loaded = []
        contents = Contents(self._store)
        for descriptor in index.manifests:
            if descriptor.media_type not in MANIFEST_TYPES | INDEX_TYPES:
                continue
            name = descriptor.annotations.get(IMAGE_NAME) or descriptor.annotations.get(REF_NAME, "")
            await self._label(contents, descriptor, platforms)
            if subject := descriptor.annotations.get(SUBJECT):
                await self._refer(contents, subject, descriptor)
                continue
            loaded.append(Loaded(_nameless(descriptor), name))
        return loaded

    async def _refer(self, contents: Contents, subject: str, referrer: Descriptor) -> None:
        """What refers to something is no image of its own."""
        if not is_digest(subject) or not await contents.present(subject):
            raise NotFound(f"invalid archive: {subject[:100]!r}, which something refers to, is missing")
        await keep_referrers(self._store, subject, [referrer])

    async def _label(self, contents: Contents, top: Descriptor, platforms: Sequence[Platform]) -> None:
        """Tell the collector what belongs together. Raises NotFound if the image itself is missing."""
        if not await contents.present(top.digest):
            raise NotFound(f"invalid archive: {top.digest} is missing")
        left_out = await contents.left_out(top, platforms)
        async for descriptor in contents.walk(top):
            info = await self._store.content.info(descriptor.digest)
            if info.size != descriptor.size:
                raise InvalidParameter(
                    f"invalid archive: {descriptor.digest} has another size than announced"
                )
            if descriptor.media_type in INDEX_TYPES | MANIFEST_TYPES:
                document = await contents.document(descriptor)
                labels = {key: to for key, to in gc_labels(document).items() if to not in left_out}
                await self._store.content.label(descriptor.digest, labels)

    async def _docker(self, archive: _Archive) -> Sequence[Loaded]:
        images = decode(archive.small["manifest.json"], list[_DockerImage])
        loaded = []
        for image in images:
            target = await self._docker_image(archive, image)
            loaded += [Loaded(target, tag) for tag in image.repo_tags] or [Loaded(target)]
        return loaded

    async def _docker_image(self, archive: _Archive, image: _DockerImage) -> Descriptor:
        config = msgspec.structs.replace(archive.blob(inside(image.config)), media_type=DOCKER_CONFIG)
        if config.size > CONFIG_LIMIT:
            raise InvalidParameter("invalid archive: image configuration is too large")
        described = read_image(await self._store.content.read(config.digest))
        if len(described.rootfs.diff_ids) != len(image.layers):
            raise InvalidParameter(
                f"invalid manifest, layers length mismatch: expected {len(image.layers)}, "
                f"got {len(described.rootfs.diff_ids)}"
            )
        layers = []
        for name, diff_id in zip(image.layers, described.rootfs.diff_ids, strict=True):
            blob = archive.blob(inside(name))
            media_type = await self._layer_type(blob.digest)
            if media_type == DOCKER_LAYER:
                if blob.digest != diff_id:
                    raise InvalidParameter(
                        f"invalid diffID for layer: expected {diff_id!r}, got {blob.digest!r}"
                    )
                await self._store.content.label(blob.digest, {UNCOMPRESSED: diff_id})
            layers.append(msgspec.structs.replace(blob, media_type=media_type))
        document = Document(media_type=DOCKER_MANIFEST, config=config, layers=layers)
        data = encode_document(document)
        digest = digest_of(data)
        await self._store.content.write(
            f"load-{digest}", _once(data), size=len(data), digest=digest, labels=gc_labels(document)
        )
        return Descriptor(DOCKER_MANIFEST, digest, len(data))

    async def _layer_type(self, digest: str) -> str:
        async for chunk in self._store.content.stream(digest):
            found = detect(chunk)
            if found in ("xz", "bzip2"):
                raise InvalidParameter(f"layers compressed with {found} are not supported")
            return {"gzip": DOCKER_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}.get(found, DOCKER_LAYER)
        return DOCKER_LAYER


class _Stream:
    """Entries of a tar, each with its content, pulled one after another."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._reader = TarReader()
        self._events: list[Entry | bytes] = []
        self._left = 0

    async def entry(self) -> Entry | None:
        """The next entry; None at the end."""
        async for _ in self.content():
            continue
        found = await self._next()
        if found is None:
            return None
        assert isinstance(found, Entry)
        self._left = found.size if found.kind == "file" else 0
        return found

    async def content(self) -> AsyncIterator[bytes]:
        """What is left of the entry's content."""
        while self._left:
            chunk = await self._next()
            if not isinstance(chunk, bytes):
                raise InvalidParameter("unexpected EOF in archive")
            self._left -= len(chunk)
            yield chunk

    async def _next(self) -> Entry | bytes | None:
        while not self._events:
            if self._reader.ended:
                return None
            data = await anext(self._chunks, None)
            if data is None:
                self._reader.finish()
                return None
            self._events = list(self._reader.feed(data))[::-1]
        return self._events.pop()


class _Pipe:
    """Chunks from whoever reads an archive to whoever writes a file of it; an empty one is the end."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(2)
        self._over = False

    async def put(self, chunk: bytes) -> None:
        """Wait until there is room."""
        if not self._over:
            await self._queue.put(chunk)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Chunks until the end."""
        while chunk := await self._queue.get():
            yield chunk

    def close(self) -> None:
        """Nobody wants the rest."""
        self._over = True
        while not self._queue.empty():
            self._queue.get_nowait()


async def _tapped(chunks: AsyncIterator[bytes], coming: Coming) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        await coming.feed(chunk)
        yield chunk


async def _small(entry: Entry, stream: _Stream) -> bytes:
    if entry.size > _SMALL_LIMIT:
        raise InvalidParameter(f"invalid archive: {entry.name} is larger than {_SMALL_LIMIT} bytes")
    return b"".join([chunk async for chunk in stream.content()])


def _nameless(descriptor: Descriptor) -> Descriptor:
    """Without the names that an archive's index gave it."""
    kept = {k: v for k, v in descriptor.annotations.items() if k not in (IMAGE_NAME, REF_NAME)}
    return msgspec.structs.replace(descriptor, annotations=kept, platform=None)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
