"""This file is about what a container has changed where its snapshot is no overlay, but a whole copy."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from moby.core.descriptor import OCI_LAYER
from moby.core.errors import NotFound
from moby.core.images import ImageStore
from moby.images.extraction import Extraction


@asynccontextmanager
async def copied_changes(store: ImageStore, container: str, place: Path) -> AsyncIterator[Path]:
    """A directory below `place` as an overlay would have it above the image; gone at the end.

    The store's differ compares the two trees, all of them.
    """
    snapshotter = store.snapshotter
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(store.leases.hold())
        view = f"{container}-view-{os.urandom(6).hex()}"

        async def forget() -> None:
            with suppress(NotFound):
                await snapshotter.remove(view)

        stack.push_async_callback(forget)
        below = await snapshotter.view(view, (await snapshotter.info(container)).parent)
        layer = await store.differ.diff(below, await snapshotter.mounts(container), OCI_LAYER)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="changes-", dir=place)))
        extraction = Extraction(layer, directory, lowest=False)
        stack.push_async_callback(extraction.close)
        async for chunk in store.content.stream(layer.digest):
            await extraction.feed(chunk)
        await extraction.finish()
        yield directory
