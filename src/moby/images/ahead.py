"""This file is about layers that are unpacked before it is known which image they belong to, and where in it.

An archive tells what its images are made of at its end. Until then whatever looks like a layer is unpacked
aside while it is read; a layer whose image turns up takes its place, the others are removed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from moby.core.descriptor import Descriptor
from moby.core.errors import MobyError
from moby.core.images import ImageStore
from moby.images.compression import detect
from moby.images.extraction import Staged, Stager

log = logging.getLogger(__name__)

LOOK = 263
_AT_ONCE = 3
# A layer of such a size is read before it is unpacked: whoever reads an archive goes on with the next one
# meanwhile. A larger one would take too long for that, and a smaller one is unpacked by the way.
_SOON_READ = range(4 << 20, 64 << 20)


def looks_like_layer(start: bytes) -> bool:
    """May a blob that begins so (with at least `LOOK` bytes) be a layer?"""
    return detect(start) in ("gzip", "zstd") or start[257:262] == b"ustar"


class Coming:
    """A layer that is unpacked while it comes, before its digest is known.

    Life: `feed` every piece, then `end`, in any case. What cannot be unpacked is dropped. `staged` is where
    it is unpacked, `layer` what it was; both are None if nothing comes of it. `ready` is for who wants it.
    """

    def __init__(self, ready: dict[str, asyncio.Future[Staged | None]]) -> None:
        loop = asyncio.get_running_loop()
        self.staged: asyncio.Future[Staged | None] = loop.create_future()
        self.layer: asyncio.Future[Descriptor | None] = loop.create_future()
        self.ready: asyncio.Future[Staged | None] = loop.create_future()
        self.failed = False
        self._known = ready
        self._fed = 0

    async def feed(self, data: bytes) -> None:
        """The next piece."""
        self._fed += len(data)
        staged = await asyncio.shield(self.staged)
        if staged is None or self.failed:
            return
        try:
            await staged.extraction.feed(data)
        except MobyError as error:
            log.debug("not unpacked while it comes", extra={"error": error.message})
            self.failed = True

    def end(self, layer: Descriptor | None) -> bool:
        """Which layer it was, if it is one. Was all of it fed?"""
        whole = layer is not None and self._fed == layer.size
        if layer is not None and whole and layer.digest not in self._known:
            self._known[layer.digest] = self.ready
            self.layer.set_result(layer)
        else:
            self.layer.set_result(None)
        return whole


class Ahead:
    """Unpacks layers aside; an async context manager, to be used under one lease.

    Life: `coming` for each layer that comes or `begin` for each whose blob is in the store, `take` for those
    whose place is known. Leaving removes what was not taken, and waits for that. What cannot be unpacked is
    not told here: whoever wants the layer tries again.
    """

    def __init__(self, store: ImageStore, stager: Stager) -> None:
        self._store = store
        self._stager = stager
        self._group = asyncio.TaskGroup()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._ready: dict[str, asyncio.Future[Staged | None]] = {}
        self._over = asyncio.Event()
        self._held = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._held.enter_async_context(self._stager.extractors.held())
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        async with self._held:
            await self._group.__aexit__(None, None, None)

    def begin(self, layer: Descriptor) -> None:
        """Unpack a layer; nothing if that was begun."""
        if self._stager.able and layer.digest not in self._ready:
            ready = self._ready[layer.digest] = asyncio.get_running_loop().create_future()
            self._group.create_task(self._unpack(layer, ready))

    def coming(self, size: int) -> Coming | None:
        """A layer of so many bytes begins to come; None if it is not to be unpacked before it is there."""
        if not self._stager.able or size in _SOON_READ:
            return None
        coming = Coming(self._ready)
        self._group.create_task(self._follow(coming, size))
        return coming

    async def take(self, digest: str) -> Staged | None:
        """A layer that is unpacked, once; None if there is none."""
        ready = self._ready.pop(digest, None)
        return await ready if ready is not None else None

    async def _follow(self, coming: Coming, size: int) -> None:
        try:
            async with self._stager.stage(Descriptor("", "", size), "ahead", None) as staged:
                coming.staged.set_result(staged)
                layer = await coming.layer
                if staged is None or layer is None or coming.failed:
                    return
                if await self._complete(layer, staged):
                    coming.ready.set_result(staged)
                    await self._over.wait()
        finally:
            for promise in (coming.staged, coming.ready):
                if not promise.done():
                    promise.set_result(None)

    async def _unpack(self, layer: Descriptor, ready: asyncio.Future[Staged | None]) -> None:
        try:
            async with self._stager.stage(layer, "ahead", None) as staged:
                if staged is not None and await self._extract(layer, staged):
                    ready.set_result(staged)
                    await self._over.wait()
        finally:
            if not ready.done():
                ready.set_result(None)

    async def _extract(self, layer: Descriptor, staged: Staged) -> bool:
        try:
            async with self._places:
                async for chunk in self._store.content.stream(layer.digest):
                    if self._over.is_set():
                        return False
                    await staged.extraction.feed(chunk)
                return await self._complete(layer, staged)
        except MobyError as error:
            log.debug("not unpacked ahead", extra={"digest": layer.digest, "error": error.message})
            return False

    async def _complete(self, layer: Descriptor, staged: Staged) -> bool:
        try:
            await staged.complete(layer.digest)
        except MobyError as error:
            log.debug("not unpacked ahead", extra={"digest": layer.digest, "error": error.message})
            return False
        return True
