"""This file is about extracting a layer: a compressed stream in, files in a snapshot's directory out.

The stream is decompressed, hashed and unpacked in one pass, in threads, while more of it arrives. What is
unpacked is a snapshot of its own, made for the lease; it takes its place in the chain of an image when the
ones below have theirs. Whoever gives up, or crashes, leaves a snapshot that nothing refers to.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from moby.core.descriptor import Descriptor
from moby.core.errors import Conflict, DataLoss, System
from moby.core.images import ImageStore
from moby.core.undo import Undo
from moby.host.mounts import Overlay, describe_as_below, in_first_user_namespace, overlay_of
from moby.host.pieces import Pieces
from moby.host.threads import Threads
from moby.images.extractors import Extractor, Extractors
from moby.images.lasting import Lasting
from moby.images.layer_stream import LayerStream, Unpacked, Unpacking

SNAPSHOT_REF = "containerd.io/snapshot.ref"
_THREADS = Threads("layers", 16)
# A smaller layer is unpacked sooner than told of to a process.
_LARGE = 4 << 20


class Extraction:
    """One layer's stream on its way into a directory; whoever feeds it verifies that it is that layer's.

    Life: `feed` every piece, then `finish`; `close` in any case, after which nothing works on it. While a
    piece is being unpacked the next one can be fetched: `feed` waits for the one before. `extractors` are
    there if a process of its own is to unpack it.
    """

    def __init__(
        self, layer: Descriptor, directory: Path, *, lowest: bool, extractors: Extractors | None = None
    ) -> None:
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._unpacking: Unpacking = (
                LayerStream(layer.digest, root, lowest=lowest)
                if extractors is None
                else Extractor(extractors, layer.digest, root, lowest=lowest)
            )
        finally:
            os.close(root)
        self._layer = layer
        self._pieces = Pieces(_THREADS, self._unpacking.take)
        self._unpacked = Unpacked("", {}, hides=False)

    async def feed(self, data: bytes) -> None:
        """The next piece. Raises InvalidParameter, System for what went wrong with those before."""
        await self._pieces.add(data)

    async def finish(self, digest: str = "") -> str:
        """The diff ID of what was unpacked; `digest` is the layer's if that was not known at the beginning.

        Raises InvalidParameter, System.
        """
        await self._pieces.run(self._end)
        return self._unpacked.diff_id or digest or self._layer.digest

    async def close(self) -> None:
        """Returns when nothing works on it any more."""
        self._unpacking.stop()
        try:
            await self._pieces.close()
        finally:
            await _THREADS.finish(self._unpacking.close)

    @property
    def implied(self) -> dict[int, str]:
        """Directories that the layer needs and does not describe."""
        return self._unpacked.implied

    @property
    def hides(self) -> bool:
        """Is there anything that hides what lies below?"""
        return self._unpacked.hides

    def _end(self) -> None:
        self._unpacked = self._unpacking.end()


class Staged:
    """A layer's snapshot before it has its place: made below no other, if its parent is not there yet."""

    def __init__(self, stager: Stager, layer: Descriptor, overlay: Overlay, key: str, parent: str | None):
        self._stager = stager
        self._store = stager.store
        self._layer = layer
        self._overlay = overlay
        self._key = key
        self._parent = parent
        self._found = ""
        self.committed = False
        self.extraction = Extraction(
            layer,
            overlay.upper,
            lowest=parent == "",
            extractors=stager.extractors if layer.size >= _LARGE else None,
        )

    async def complete(self, digest: str = "") -> None:
        """All of it is unpacked; see `Extraction.finish`. Raises InvalidParameter, System."""
        if not self._found:
            self._found = await self.extraction.finish(digest)
            await self.extraction.close()

    async def finish(self, diff_id: str) -> None:
        """All of it is unpacked, and what was expected. Raises DataLoss, InvalidParameter, System."""
        await self.complete()
        if self._found != diff_id:
            raise DataLoss(
                f"wrong diff id calculated on extraction of {self._layer.digest}: "
                f"{self._found} is not {diff_id}"
            )

    def fits(self, parent: str) -> bool:
        """Can it be placed there? At the bottom nothing may be hidden: there whiteouts would be seen."""
        return self._parent == parent or bool(parent) or not self.extraction.hides

    async def place(self, chain: str, parent: str) -> None:
        """Take the place above `parent`, as `chain`."""
        snapshotter = self._store.snapshotter
        if self._parent == parent:
            await _THREADS.finish(describe_as_below, self._overlay, self.extraction.implied)
            await self._stager.commit(chain, self._key, self._overlay.upper)
            self.committed = True
            return
        key = _key(chain)
        async with Undo() as undo:
            undo.push(snapshotter.remove, key)
            overlay = overlay_of(await snapshotter.prepare(key, parent))
            if overlay is None:
                raise System(f"snapshot {key} has no directory of its own")
            await _THREADS.finish(_move, self._overlay, overlay, self.extraction.implied)
            await self._stager.commit(chain, key, overlay.upper)
            undo.keep()


class Stager:
    """Begins snapshots for layers, where they are directories that can be unpacked to.

    Large ones are unpacked by `extractors`, which somebody has to hold meanwhile.
    """

    def __init__(self, store: ImageStore, lasting: Lasting | None = None) -> None:
        self.store = store
        self.extractors = Extractors()
        self._lasting = lasting
        self.able = store.snapshotter.name == "overlayfs" and os.geteuid() == 0 and in_first_user_namespace()

    @asynccontextmanager
    async def stage(self, layer: Descriptor, chain: str, parent: str | None) -> AsyncIterator[Staged | None]:
        """A snapshot to unpack a layer to; `parent` is None while that is not there, empty for the lowest.

        At the end of the block it has its place, or is gone. None if this snapshotter's are no directories.
        """
        snapshotter = self.store.snapshotter
        key = _key(chain)
        if layer.size >= _LARGE:
            self.extractors.expect()
        async with Undo() as undo:
            undo.push(snapshotter.remove, key)
            overlay = overlay_of(await snapshotter.prepare(key, parent or ""))
            if overlay is None:
                yield None
                return
            staged = Staged(self, layer, overlay, key, parent)
            undo.push(staged.extraction.close)
            yield staged
            if staged.committed:
                await staged.extraction.close()
                undo.keep()

    async def commit(self, chain: str, key: str, directory: Path) -> None:
        """What is unpacked at `directory`, the snapshot `key`, is `chain` from now on."""
        labels = self._lasting.labels(directory) if self._lasting is not None else {}
        try:
            await self.store.snapshotter.commit(chain, key, {SNAPSHOT_REF: chain, **labels})
        except Conflict:  # somebody else, outside this process, was quicker
            await hold_chain(self.store, chain)
            await self.store.snapshotter.remove(key)


async def hold_chain(store: ImageStore, chain: str) -> None:
    """What is unpacked as `chain` stays as long as the lease."""
    await store.leases.hold_on(f"snapshots/{store.snapshotter.name}", chain)


def _key(chain: str) -> str:
    return f"extract-{os.urandom(8).hex()} {chain}"


def _move(staged: Overlay, target: Overlay, implied: dict[int, str]) -> None:
    """What was unpacked becomes the upper directory of another overlay."""
    found = os.stat(target.upper)
    os.chown(staged.upper, found.st_uid, found.st_gid)
    os.chmod(staged.upper, found.st_mode & 0o7777)
    os.rename(staged.upper, target.upper)
    describe_as_below(target, implied)
