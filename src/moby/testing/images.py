"""This file is about image stores: one in memory that is honest, and what every store must do.

`MemoryImages` implements `ImageStore` without a machine: a snapshot is the list of layers that were applied
to it. It collects what nothing refers to when a lease ends or a name is removed, as containerd does, so that
a test sees at once what a service forgot to keep.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from msgspec.structs import replace

from moby.core.content import ContentInfo, ContentStore, Leases
from moby.core.descriptor import Descriptor
from moby.core.errors import Conflict, DataLoss, InvalidParameter, NotFound
from moby.core.images import ImageStore, StoredImage
from moby.core.snapshots import Differ, Mount, SnapshotInfo, Snapshotter, Usage

_lease: ContextVar[str] = ContextVar("memory_lease", default="")


class MemoryImages(ImageStore):
    """An image store in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.snapshots: dict[str, SnapshotInfo] = {}
        self.names: dict[str, StoredImage] = {}
        self.leased: dict[str, set[str]] = {}
        self.broken: dict[str, bytearray] = {}
        self._content = MemoryContent(self)
        self._leases = MemoryLeases(self)
        self._snapshotter = MemorySnapshots(self)
        self._differ = MemoryDiffer(self)

    @property
    def content(self) -> ContentStore:
        """See `ImageStore.content`."""
        return self._content

    @property
    def leases(self) -> Leases:
        """See `ImageStore.leases`."""
        return self._leases

    @property
    def snapshotter(self) -> Snapshotter:
        """See `ImageStore.snapshotter`."""
        return self._snapshotter

    @property
    def differ(self) -> Differ:
        """See `ImageStore.differ`."""
        return self._differ

    async def get(self, name: str) -> StoredImage:
        """See `ImageStore.get`."""
        if name not in self.names:
            raise NotFound(f'image "{name}": not found')
        return self.names[name]

    async def put(self, image: StoredImage) -> None:
        """See `ImageStore.put`."""
        now = datetime.now(UTC)
        created = self.names[image.name].created_at if image.name in self.names else now
        self.names[image.name] = replace(image, created_at=created, updated_at=now)

    async def delete(self, name: str, *, sync: bool = False) -> None:
        """See `ImageStore.delete`; always with `sync`."""
        await self.get(name)
        del self.names[name]
        self.collect()

    async def list(self) -> Sequence[StoredImage]:
        """See `ImageStore.list`."""
        return list(self.names.values())

    def hold_on(self, thing: str) -> None:
        """What the current lease keeps from now on."""
        if lease := _lease.get():
            self.leased[lease].add(thing)

    def collect(self) -> None:
        """Remove what no name, lease or root refers to."""
        roots = [image.target.digest for image in self.names.values()]
        roots += [thing for things in self.leased.values() for thing in things]
        roots += [name for name, info in self.snapshots.items() if "containerd.io/gc.root" in info.labels]
        kept: set[str] = set()
        while roots:
            thing = roots.pop()
            if thing in kept:
                continue
            kept.add(thing)
            if thing in self.blobs:
                labels = self.blobs[thing][1]
                roots += [v for key, v in labels.items() if key.startswith("containerd.io/gc.ref.")]
            if thing in self.snapshots and self.snapshots[thing].parent:
                roots.append(self.snapshots[thing].parent)
        self.blobs = {digest: blob for digest, blob in self.blobs.items() if digest in kept}
        self.snapshots = {name: info for name, info in self.snapshots.items() if name in kept}


class MemoryContent(ContentStore):
    """Blobs in memory."""

    def __init__(self, store: MemoryImages) -> None:
        self._store = store

    async def info(self, digest: str) -> ContentInfo:
        """See `ContentStore.info`."""
        data, labels = self._get(digest)
        return ContentInfo(digest, len(data), dict(labels))

    async def read(self, digest: str, *, limit: int = 8 << 20) -> bytes:
        """See `ContentStore.read`."""
        data, _ = self._get(digest)
        if len(data) > limit:
            raise InvalidParameter(f"content {digest} is larger than {limit} bytes")
        return data

    async def stream(self, digest: str, *, offset: int = 0) -> AsyncIterator[bytes]:
        """See `ContentStore.stream`."""
        data, _ = self._get(digest)
        for start in range(offset, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]

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
        if digest and digest in self._store.blobs:
            self._store.hold_on(digest)
            await self.label(digest, labels or {})
            return await self.info(digest)
        data = bytearray()
        async for chunk in chunks:
            data += chunk
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if (size is not None and len(data) != size) or (digest and found != digest):
            raise DataLoss(f"unexpected commit digest {found}, expected {digest}, {len(data)} bytes")
        self._store.hold_on(found)
        old = self._store.blobs.get(found, (b"", {}))[1]
        self._store.blobs[found] = (bytes(data), {**old, **(labels or {})})
        return await self.info(found)

    async def resume(
        self,
        ref: str,
        source: Callable[[int], AsyncIterator[bytes]],
        *,
        size: int,
        digest: str,
        labels: Mapping[str, str] | None = None,
    ) -> ContentInfo:
        """See `ContentStore.resume`."""
        if digest in self._store.blobs:
            return await self.write(ref, source(0), size=size, digest=digest, labels=labels)
        data = self._store.broken.setdefault(ref, bytearray())
        async for chunk in source(len(data)):
            data += chunk

        async def whole() -> AsyncIterator[bytes]:
            yield bytes(data)

        self._store.broken.pop(ref, None)
        return await self.write(ref, whole(), size=size, digest=digest, labels=labels)

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """See `ContentStore.label`."""
        _, own = self._get(digest)
        for key, value in labels.items():
            if value:
                own[key] = value
            else:
                own.pop(key, None)

    async def abandon(self, ref: str) -> None:
        """See `ContentStore.abandon`."""
        self._store.broken.pop(ref, None)

    async def abandon_all(self) -> None:
        """See `ContentStore.abandon_all`."""
        self._store.broken.clear()

    async def delete(self, digest: str) -> None:
        """See `ContentStore.delete`."""
        self._store.blobs.pop(digest, None)

    async def walk(self) -> AsyncIterator[ContentInfo]:
        """See `ContentStore.walk`."""
        for digest in list(self._store.blobs):
            yield await self.info(digest)

    def _get(self, digest: str) -> tuple[bytes, dict[str, str]]:
        if digest not in self._store.blobs:
            raise NotFound(f"content {digest}: not found")
        return self._store.blobs[digest]


class MemoryLeases(Leases):
    """Leases that know what was made under them."""

    def __init__(self, store: MemoryImages) -> None:
        self._store = store
        self._made = 0

    def hold(self, *, hours: float = 24.0, collect: bool = False) -> AbstractAsyncContextManager[None]:
        """See `Leases.hold`."""
        return self._hold()

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator[None]:
        if _lease.get() in self._store.leased:
            yield
            return
        self._made += 1
        lease = f"{id(self)}-{self._made}"
        self._store.leased[lease] = set()
        token = _lease.set(lease)
        try:
            yield
        finally:
            _lease.reset(token)
            del self._store.leased[lease]
            self._store.collect()

    async def hold_on(self, kind: str, name: str) -> None:
        """See `Leases.hold_on`."""
        self._store.hold_on(name)

    async def keep(self, digest: str, *, hours: float = 24.0) -> None:
        """See `Leases.keep`."""
        self._store.leased[f"kept-{digest}"] = {digest}

    async def let_go(self, digest: str = "") -> None:
        """See `Leases.let_go`."""
        for lease in [lease for lease in self._store.leased if lease.startswith(f"kept-{digest}")]:
            del self._store.leased[lease]
        self._store.collect()


class MemorySnapshots(Snapshotter):
    """Snapshots whose content is a label: the diff IDs that were applied."""

    name = "memory"

    def __init__(self, store: MemoryImages) -> None:
        self._store = store

    async def prepare(
        self, key: str, parent: str, labels: Mapping[str, str] | None = None
    ) -> Sequence[Mount]:
        """See `Snapshotter.prepare`."""
        if key in self._store.snapshots:
            raise Conflict(f"snapshot {key}: already exists")
        if parent and (await self.info(parent)).kind != "committed":
            raise Conflict(f"parent {parent} is not committed")
        self._store.snapshots[key] = SnapshotInfo(key, parent, "active", dict(labels or {}))
        self._store.hold_on(key)
        return (Mount("memory", key),)

    async def view(self, key: str, parent: str, labels: Mapping[str, str] | None = None) -> Sequence[Mount]:
        """See `Snapshotter.view`."""
        mounts = await self.prepare(key, parent, labels)
        self._store.snapshots[key] = replace(self._store.snapshots[key], kind="view")
        return mounts

    async def mounts(self, key: str) -> Sequence[Mount]:
        """See `Snapshotter.mounts`."""
        await self.info(key)
        return (Mount("memory", key),)

    async def commit(self, name: str, key: str, labels: Mapping[str, str] | None = None) -> None:
        """See `Snapshotter.commit`."""
        if name in self._store.snapshots:
            raise Conflict(f"snapshot {name}: already exists")
        active = await self.info(key)
        del self._store.snapshots[key]
        self._store.snapshots[name] = SnapshotInfo(name, active.parent, "committed", dict(labels or {}))
        self._store.hold_on(name)

    async def remove(self, key: str) -> None:
        """See `Snapshotter.remove`."""
        if any(info.parent == key for info in self._store.snapshots.values()):
            raise Conflict(f"cannot remove snapshot with child: {key}")
        self._store.snapshots.pop(key, None)

    async def info(self, key: str) -> SnapshotInfo:
        """See `Snapshotter.info`."""
        if key not in self._store.snapshots:
            raise NotFound(f"snapshot {key} does not exist: not found")
        return self._store.snapshots[key]

    async def usage(self, key: str) -> Usage:
        """See `Snapshotter.usage`: a thousand bytes each."""
        await self.info(key)
        return Usage(1000, 1)

    async def walk(self) -> AsyncIterator[SnapshotInfo]:
        """See `Snapshotter.walk`."""
        for info in list(self._store.snapshots.values()):
            yield info


class MemoryDiffer(Differ):
    """Finds out diff IDs and unpacks nothing."""

    def __init__(self, store: MemoryImages) -> None:
        self._store = store

    async def apply(self, layer: Descriptor, mounts: Sequence[Mount]) -> str:
        """See `Differ.apply`; plain and gzip layers."""
        data = await self._store.content.read(layer.digest)
        if data[:2] == b"\x1f\x8b":
            try:
                data = zlib.decompress(data, 31)
            except zlib.error as error:
                raise InvalidParameter(f"cannot decompress {layer.digest}: {error}") from error
        return f"sha256:{hashlib.sha256(data).hexdigest()}"

    async def diff(self, lower: Sequence[Mount], upper: Sequence[Mount], media_type: str) -> Descriptor:
        """See `Differ.diff`: an empty tar."""
        data = bytes(1024)

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        written = await self._store.content.write("diff", chunks())
        return Descriptor(media_type, written.digest, written.size)
