"""This file is about unpacking: from layer blobs to a chain of committed snapshots.

What is unpacked already is left out; images that share layers, and are unpacked at the same time, wait for
each other. `Unpacker` is the step for one layer where it cannot be extracted while it comes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.digest import chain_id
from moby.core.errors import Conflict, DataLoss, InvalidParameter, NotFound
from moby.core.images import ImageStore
from moby.core.undo import Undo
from moby.images.ahead import Ahead
from moby.images.extraction import SNAPSHOT_REF, Staged, Stager, hold_chain
from moby.images.jobs import first_error
from moby.images.lasting import Lasting

UNCOMPRESSED = "containerd.io/uncompressed"
_AT_ONCE = 3


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
            except Conflict:  # somebody else, outside this process, was quicker
                await hold_chain(self._store, chain)
                await snapshotter.remove(key)
            undo.keep()
        await self._store.content.label(layer.digest, {UNCOMPRESSED: diff_id})


class LayerWatch(Protocol):
    """Hears how unpacking goes, of several layers at once."""

    def extracting(self, layer: Descriptor) -> None:
        """What is left to do is unpacking."""
        ...

    def unpacked(self, layer: Descriptor) -> None:
        """It is unpacked, or was."""
        ...


class Tap(Protocol):
    """Takes the pieces of a layer as they come."""

    async def feed(self, data: bytes) -> None:
        """The next piece."""
        ...


class Fetch(Protocol):
    """Brings a layer's blob into the store's content, if it is not there."""

    async def __call__(self, layer: Descriptor, tap: Tap | None, /) -> bool:
        """Did all of it come by, and was given to `tap`? If not, `tap` has been given nothing at all."""
        ...


class _Place(msgspec.Struct, frozen=True):
    """One layer of an image and where it goes."""

    layer: Descriptor
    diff_id: str
    chain: str
    parent: str
    below: asyncio.Event
    """Set when the parent is there."""
    done: asyncio.Event


class Layers(Protocol):
    """What becomes of the layers of an image that is fetched."""

    def labels(self, chain: str) -> Mapping[str, str]:
        """What keeps them as long as the configuration is there that names them."""
        ...

    async def unpack(
        self,
        layers: Sequence[Descriptor],
        diff_ids: Sequence[str],
        fetch: Fetch | None = None,
        watch: LayerWatch | None = None,
    ) -> str:
        """Take the layers in; see `Chains.unpack`."""
        ...


class PackedLayers(Layers):
    """Leaves layers packed, as they come: for stores without file systems."""

    def labels(self, chain: str) -> Mapping[str, str]:
        """See `Layers.labels`: none are needed."""
        return {}

    async def unpack(
        self,
        layers: Sequence[Descriptor],
        diff_ids: Sequence[str],
        fetch: Fetch | None = None,
        watch: LayerWatch | None = None,
    ) -> str:
        """See `Layers.unpack`; the chain ID of nothing."""
        async with asyncio.TaskGroup() as group:
            for layer in {layer.digest: layer for layer in layers}.values():
                group.create_task((fetch or _is_here)(layer, None))
        return ""


class Chains(Layers):
    """Unpacks the layers of images, each chain once at a time.

    Layers are extracted side by side, while they are fetched if that can be, and take their places in order.
    Where the store's snapshots are no directories, its own differ unpacks one after the other.
    """

    def __init__(
        self, store: ImageStore, unpacker: Unpacker | None = None, lasting: Lasting | None = None
    ) -> None:
        self._store = store
        self._unpacker = unpacker or DifferUnpacker(store)
        self._stager = Stager(store, lasting)
        self._locks = Locks()
        self._extractions = asyncio.Semaphore(_AT_ONCE)

    def labels(self, chain: str) -> Mapping[str, str]:
        """See `Layers.labels`."""
        return snapshot_label(self._store, chain)

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
        fetch: Fetch | None = None,
        watch: LayerWatch | None = None,
        ahead: Ahead | None = None,
    ) -> str:
        """Unpack `layers`, each fetched by `fetch` if it is not here; the chain ID of all.

        Those that were unpacked `ahead` need only be placed. Raises InvalidParameter if the image's manifest
        and configuration do not fit each other, or a layer is none; DataLoss if it is another one than
        announced; what `fetch` raises.
        """
        if len(layers) != len(diff_ids):
            raise InvalidParameter(
                f"mismatched image rootfs and manifest layers: {len(diff_ids)} and {len(layers)}"
            )
        parent, below = "", asyncio.Event()
        below.set()
        try:
            async with self._stager.extractors.held(), asyncio.TaskGroup() as group:
                for layer, diff_id in zip(layers, diff_ids, strict=True):
                    chain = chain_id([parent, diff_id]) if parent else diff_id
                    place = _Place(layer, diff_id, chain, parent, below, asyncio.Event())
                    group.create_task(self._unpack(place, fetch or _is_here, watch, ahead))
                    parent, below = chain, place.done
        except ExceptionGroup as errors:
            raise first_error(errors) from errors
        return parent

    def ahead(self) -> Ahead:
        """Where layers can be unpacked that have no place yet."""
        return Ahead(self._store, self._stager)

    async def _unpack(
        self, place: _Place, fetch: Fetch, watch: LayerWatch | None, ahead: Ahead | None
    ) -> None:
        layer = place.layer
        # Whoever holds a chain's lock waits for nothing but chains below it, and for blobs.
        async with self._locks.hold(place.chain):
            if await self._is_here(place.chain):
                await fetch(layer, None)
            elif ahead is not None and await self._take(place, ahead):
                pass
            elif not self._stager.able or not await self._extract(place, fetch, watch):
                await fetch(layer, None)
                await place.below.wait()
                if watch is not None:
                    watch.extracting(layer)
                await self._unpacker.unpack(layer, place.diff_id, place.chain, place.parent)
        place.done.set()
        if watch is not None:
            watch.unpacked(layer)

    async def _is_here(self, chain: str) -> bool:
        """Is it unpacked, and under this lease from now on?"""
        if not await self.exists(chain):
            return False
        await hold_chain(self._store, chain)
        return await self.exists(chain)  # somebody may be removing the image that it came with

    async def _take(self, place: _Place, ahead: Ahead) -> bool:
        """Place a layer that is unpacked already; False if it is not."""
        staged = await ahead.take(place.layer.digest)
        if staged is None or not staged.fits(place.parent):
            return False
        await staged.finish(place.diff_id)
        await self._placed(place, staged)
        return True

    async def _placed(self, place: _Place, staged: Staged) -> None:
        # What can be said before is: those above wait for what comes then.
        await self._store.content.label(place.layer.digest, {UNCOMPRESSED: place.diff_id})
        await place.below.wait()
        await staged.place(place.chain, place.parent)

    async def _extract(self, place: _Place, fetch: Fetch, watch: LayerWatch | None) -> bool:
        """Unpack a layer while it comes, or else out of the store; False if its snapshots allow neither."""
        layer = place.layer
        parent = place.parent if place.below.is_set() else None
        async with self._stager.stage(layer, place.chain, parent) as staged:
            if staged is None:
                return False
            came_by = await fetch(layer, staged.extraction)
            if watch is not None:
                watch.extracting(layer)
            async with self._extractions:
                if not came_by:
                    async for chunk in self._store.content.stream(layer.digest):
                        await staged.extraction.feed(chunk)
                await staged.finish(place.diff_id)
            await self._placed(place, staged)
        return True


async def _is_here(_: Descriptor, __: Tap | None) -> bool:
    return False


def snapshot_label(store: ImageStore, chain: str) -> Mapping[str, str]:
    """The label on a configuration blob that keeps its chain of snapshots."""
    return {f"containerd.io/gc.ref.snapshot.{store.snapshotter.name}": chain} if chain else {}
