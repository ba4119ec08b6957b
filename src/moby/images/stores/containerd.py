"""This file is about images in containerd: names, content, snapshots, leases of one namespace."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Sequence
from pathlib import Path

from moby.core.images import ImageStore, StoredImage
from moby.host.containerd.blob_files import BlobFiles
from moby.host.containerd.client import Containerd
from moby.host.containerd.content import ContainerdContent
from moby.host.containerd.images import ContainerdImageNames
from moby.host.containerd.leases import ContainerdLeases
from moby.host.containerd.snapshots import ContainerdDiffer, ContainerdSnapshots

# Two writes within a tick of the kernel's clock have the same time.
_TICK_NS = 50_000_000


class ContainerdImages(ImageStore):
    """An image store that containerd keeps, if it is our own with its files below `root`."""

    def __init__(self, client: Containerd, snapshotter: str = "overlayfs", root: Path | None = None) -> None:
        self._content = ContainerdContent(client, BlobFiles(root) if root is not None else None)
        self._leases = ContainerdLeases(client)
        self._snapshotter = ContainerdSnapshots(client, snapshotter)
        self._differ = ContainerdDiffer(client)
        self._names = ContainerdImageNames(client)
        self._database = root / "io.containerd.metadata.v1.bolt/meta.db" if root is not None else None

    @property
    def content(self) -> ContainerdContent:
        """See `ImageStore.content`."""
        return self._content

    @property
    def leases(self) -> ContainerdLeases:
        """See `ImageStore.leases`."""
        return self._leases

    @property
    def snapshotter(self) -> ContainerdSnapshots:
        """See `ImageStore.snapshotter`."""
        return self._snapshotter

    @property
    def differ(self) -> ContainerdDiffer:
        """See `ImageStore.differ`."""
        return self._differ

    async def get(self, name: str) -> StoredImage:
        """See `ImageStore.get`."""
        return await self._names.get(name)

    async def put(self, image: StoredImage) -> None:
        """See `ImageStore.put`."""
        await self._names.put(image)

    async def delete(self, name: str, *, sync: bool = False) -> None:
        """See `ImageStore.delete`."""
        await self._names.delete(name, sync=sync)

    async def list(self) -> Sequence[StoredImage]:
        """See `ImageStore.list`."""
        return await self._names.list()

    def version(self) -> Hashable:
        """See `ImageStore.version`: when containerd's database was written last, if that is a while ago."""
        if self._database is None:
            return None
        try:
            found = os.stat(self._database)
        except OSError:
            return None
        if time.time_ns() - found.st_mtime_ns < _TICK_NS:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns
