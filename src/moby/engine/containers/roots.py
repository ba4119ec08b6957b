"""This file is about the file systems that containers begin with: their image's, owned by whom they have.

In a user namespace root has another number than outside, and so have the owners of an image's files. The
first container of an image gets a copy of its file system in which they do, which all later ones share; it is
kept as long as the image's manifest.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from pathlib import Path

from moby.core.config import ConfigSource
from moby.core.descriptor import Descriptor
from moby.core.errors import Conflict, NotFound, System
from moby.core.idmaps import IdMap
from moby.core.images import ImageStore
from moby.core.types.containers import HostConfig
from moby.engine.config import EngineConfig
from moby.engine.containers.forgotten import snapshot_labels
from moby.engine.userns import container_ids
from moby.host.files import translation
from moby.host.mounts import mounted, overlay_of
from moby.host.threads import finishing
from moby.volumes.copying import copy_tree

# By this file programs see that they are in a container of Docker's; it is no change of the container's.
_MARK, _MARK_MODE = ".dockerenv", 0o755


class Roots:
    """Knows whose numbers a container has, and the snapshot it begins with."""

    def __init__(self, images: ImageStore, config: ConfigSource[EngineConfig]) -> None:
        self._images = images
        self._config = config
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def ids(self, host: HostConfig) -> IdMap:
        """See `container_ids`."""
        return container_ids(self._config.current, host)

    async def prepare(self, container: str, host: HostConfig, chain: str, manifest: Descriptor) -> None:
        """A container's own file system, on an image's. Raises System, NotFound."""
        base = await self.base(host, chain, manifest)
        mounts = await self._images.snapshotter.prepare(container, base, snapshot_labels(container))
        owner = self.ids(host).root
        with translation(f"cannot make the file system of {container}"):
            if (overlay := overlay_of(mounts)) is not None:
                await finishing(_mark, overlay.upper, owner)
                return
            async with mounted(mounts) as root:
                await finishing(_mark, root, owner)

    async def remove(self, container: str) -> None:
        """Free a container's file system; no error if it is gone."""
        await self._images.snapshotter.remove(container)

    async def base(self, host: HostConfig, chain: str, manifest: Descriptor) -> str:
        """The snapshot with an image's files, for a container that is configured so. Raises System."""
        ids = self.ids(host)
        if not ids:
            return chain
        uid, gid = ids.root
        name = f"{chain}-{uid}-{gid}"
        async with self._making[name]:
            try:
                await self._images.snapshotter.info(name)
            except NotFound:
                await self._make(name, chain, manifest, ids)
        return name

    async def _make(self, name: str, chain: str, manifest: Descriptor, ids: IdMap) -> None:
        snapshots = self._images.snapshotter
        making, reading = (f"{name}-{os.urandom(6).hex()}-{what}" for what in ("copy", "view"))
        async with self._images.leases.hold():
            try:
                target = await snapshots.prepare(making, "")
                async with mounted(await snapshots.view(reading, chain)) as source, mounted(target) as root:
                    await finishing(_copy, source, root, ids)
                await snapshots.commit(name, making)
            except Conflict:
                await asyncio.shield(snapshots.remove(making))
            except BaseException:
                await asyncio.shield(snapshots.remove(making))
                raise
            finally:
                await asyncio.shield(snapshots.remove(reading))
            # Kept by what keeps the image: the collector follows this from the manifest.
            reference = f"containerd.io/gc.ref.snapshot.{snapshots.name}/{ids.root[0]}.{ids.root[1]}"
            await self._images.content.label(manifest.digest, {reference: name})


def _mark(root: Path, owner: tuple[int, int]) -> None:
    place = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        mark = os.open(_MARK, flags, _MARK_MODE, dir_fd=place)
        try:
            os.fchmod(mark, _MARK_MODE)
            os.fchown(mark, *owner)
        finally:
            os.close(mark)
    except FileExistsError:
        return  # the image has brought one
    finally:
        os.close(place)


def _copy(source: Path, target: Path, ids: IdMap) -> None:
    try:
        copy_tree(source, target, ids.to_host)
    except OSError as error:
        raise System(f"cannot copy an image for a user namespace: {error}") from error
