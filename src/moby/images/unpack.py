"""This file is about unpacking: from layer blobs to a chain of committed snapshots.

`Unpacker` is the step for one layer; `unpack_chain` goes through the layers of an image in order, as soon as
each is there, and leaves out what is unpacked already. Two images that share layers wait for each other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from moby.core.descriptor import Descriptor
from moby.core.digest import chain_id
from moby.core.errors import Conflict, DataLoss, InvalidParameter, NotFound
from moby.core.images import ImageStore
from moby.core.undo import Undo

UNCOMPRESSED = "containerd.io/uncompressed"
SNAPSHOT_REF = "containerd.io/snapshot.ref"


class Locks:
    """Locks by key; one that nobody holds or waits for does not exist."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Alone with this key inside the block."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)


class Unpacker(Protocol):
    """Turns one layer blob into one committed snapshot.

    Cancellation: afterwards the snapshot `chain` is committed, or nothing of it is left.
    """

    async def unpack(self, layer: Descriptor, diff_id: str, chain: str, parent: str) -> None:
        """Unpack `layer` on `parent` (empty for the first) as `chain`. Raises DataLoss."""
        ...


class DifferUnpacker(Unpacker):
    """Has the store's own differ unpack layers."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    async def unpack(self, layer: Descriptor, diff_id: str, chain: str, parent: str) -> None:
        """See `Unpacker.unpack`."""
        snapshotter = self._store.snapshotter
        key = f"extract-{os.urandom(8).hex()} {chain}"
        async with Undo() as undo:
            undo.push(snapshotter.remove, key)
            mounts = await snapshotter.prepare(key, parent, {SNAPSHOT_REF: chain})
            found = await self._store.differ.apply(layer, mounts)
            if found != diff_id:
                raise DataLoss(
                    f"wrong diff id calculated on extraction of {layer.digest}: {found} is not {diff_id}"
                )
            try:
                await snapshotter.commit(chain, key, {SNAPSHOT_REF: chain})
            except Conflict:
                await snapshotter.remove(key)  # somebody else, outside this process, was quicker
            undo.keep()
        await self._store.content.label(layer.digest, {UNCOMPRESSED: diff_id})


class LayerWatch(Protocol):
    """Hears how unpacking goes."""

    def extracting(self, layer: Descriptor) -> None:
        """It began."""
        ...

    def unpacked(self, layer: Descriptor) -> None:
        """It is unpacked, or was."""
        ...


class Chains:
    """Unpacks the layers of images, each chain once at a time."""

    def __init__(self, store: ImageStore, unpacker: Unpacker | None = None) -> None:
        self._store = store
        self._unpacker = unpacker or DifferUnpacker(store)
        self._locks = Locks()

    async def exists(self, chain: str) -> bool:
        """Is this chain unpacked?"""
        try:
            return (await self._store.snapshotter.info(chain)).kind == "committed"
        except NotFound:
            return False

    async def unpack(
        self,
        layers: Sequence[Descriptor],
        diff_ids: Sequence[str],
        ready: Callable[[Descriptor], Awaitable[None]],
        watch: LayerWatch | None = None,
    ) -> str:
        """Unpack `layers` in order, each after `ready` has returned for it; the chain ID of all.

        Raises InvalidParameter if the image's manifest and configuration do not fit each other.
        """
        if len(layers) != len(diff_ids):
            raise InvalidParameter(
                f"mismatched image rootfs and manifest layers: {len(diff_ids)} and {len(layers)}"
            )
        parent = ""
        for layer, diff_id in zip(layers, diff_ids, strict=True):
            chain = chain_id([parent, diff_id]) if parent else diff_id
            async with self._locks.hold(chain):
                if not await self.exists(chain):
                    await ready(layer)
                    if watch is not None:
                        watch.extracting(layer)
                    await self._unpacker.unpack(layer, diff_id, chain, parent)
            if watch is not None:
                await ready(layer)
                watch.unpacked(layer)
            parent = chain
        return parent


def snapshot_label(store: ImageStore, chain: str) -> Mapping[str, str]:
    """The label on a configuration blob that keeps its chain of snapshots."""
    return {f"containerd.io/gc.ref.snapshot.{store.snapshotter.name}": chain} if chain else {}
