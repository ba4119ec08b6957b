"""This file is about the mounts of a container: made with it, filled from its image, freed with it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.errors import InvalidParameter, NotFound
from moby.core.snapshots import Snapshotter
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.core.undo import Undo
from moby.engine.containers.forgotten import snapshot_labels
from moby.engine.containers.index import Index
from moby.engine.containers.mount_specs import (
    in_daemon_root,
    parse_anonymous,
    parse_bind,
    parse_mount,
    parse_volumes_from,
)
from moby.engine.containers.record import Mounted, Record
from moby.engine.containers.roots import Roots
from moby.host.files import make_mount_source
from moby.host.mounts import mounted, opened_beneath
from moby.host.threads import blocking
from moby.volumes.copying import copy_up, has_directory
from moby.volumes.service import Volumes


class Unpacked(Protocol):
    """An image that is there as a snapshot: `id` is its digest, `chain` the snapshot's name."""

    @property
    def id(self) -> str:
        """The digest of what its name points to."""
        ...

    @property
    def chain(self) -> str:
        """The snapshot with all of its layers."""
        ...

    @property
    def manifest(self) -> Descriptor:
        """Its manifest."""
        ...


class MountedImages(Protocol):
    """Where images that are mounted come from."""

    async def runnable(self, name: str, platform: str | None) -> Unpacked:
        """Raises NotFound (`No such image: NAME`)."""
        ...


class MountPlanner:
    """Turns what the user wrote into mounts, making the volumes and snapshots they need."""

    def __init__(
        self,
        index: Index,
        volumes: Volumes,
        snapshotter: Snapshotter,
        images: MountedImages,
        roots: Roots,
    ) -> None:
        self._roots = roots
        self._images = images
        self._index = index
        self._volumes = volumes
        self._snapshotter = snapshotter

    async def plan(self, record: Record, undo: Undo, root: str) -> list[Mounted]:
        """The mounts of a new container; what they need is made, in its name, and undone by `undo`.

        `root` is where the daemon keeps its own mounts.
        """
        host = record.host_config
        planned = {mount.point.destination: mount for mount in self._inherited(host)}
        own: set[str] = {*(host.tmpfs or {})}
        for mount in self._written(host, root):
            destination = mount.point.destination
            if destination in own:
                raise InvalidParameter(f"Duplicate mount point: {destination}")
            own.add(destination)
            planned[destination] = mount
        planned.update(self._anonymous(record.config, host, taken=planned.keys() | own))
        mounts = [planned[destination] for destination in sorted(planned, key=lambda path: path.count("/"))]
        for mount in mounts:
            if mount.point.type == "volume":
                await self._make_volume(record, mount, undo)
            if mount.point.type == "image":
                await self._make_view(record, mount, undo)
            if mount.create_source and mount.point.type == "bind":
                await blocking(make_mount_source, mount.point.source, self._roots.ids(host).root)
        return mounts

    def _inherited(self, host: HostConfig) -> Sequence[Mounted]:
        found = []
        for text in host.volumes_from or ():
            source, read_only = parse_volumes_from(text)
            try:
                donor = self._index.find(source).record
            except NotFound as error:
                raise InvalidParameter(error.message) from error
            for mount in donor.mounts:
                if mount.point.type == "tmpfs":
                    continue
                point = type(mount.point)(
                    type=mount.point.type,
                    name=mount.point.name,
                    source=mount.point.source,
                    destination=mount.point.destination,
                    driver=mount.point.driver,
                    mode=mount.point.mode,
                    rw=mount.point.rw and not read_only,
                    propagation=mount.point.propagation,
                )
                own = msgspec.structs.replace(
                    mount, point=point, no_copy=True, anonymous=False, create_source=False, snapshot=""
                )
                found.append(own)
        return found

    def _written(self, host: HostConfig, root: str) -> Sequence[Mounted]:
        found = []
        for raw in host.binds or ():
            mount = parse_bind(raw, host.volume_driver)
            in_daemon_root(None, mount, root)
            found.append(mount)
        for written in host.mounts or ():
            mount = parse_mount(written)
            in_daemon_root(written, mount, root)
            found.append(mount)
        return found

    def _anonymous(self, config: ContainerConfig, host: HostConfig, taken: set[str]) -> dict[str, Mounted]:
        found = {}
        for target in config.volumes or {}:
            mount = parse_anonymous(target, host.volume_driver)
            if mount.point.destination not in taken:
                found[mount.point.destination] = mount
        return found

    async def _make_volume(self, record: Record, mount: Mounted, undo: Undo) -> None:
        options: dict[str, str] = {}
        labels: dict[str, str] = {}
        for written in record.host_config.mounts or ():
            if (
                written.type == "volume"
                and written.target == mount.point.destination
                and written.volume_options
            ):
                driver = written.volume_options.driver_config
                options = dict((driver.options if driver else None) or {})
                labels = dict(written.volume_options.labels or {})
        try:
            volume = await self._volumes.acquire(
                mount.volume, driver=mount.point.driver, options=options, labels=labels, user=record.id
            )
        except NotFound as error:
            # Of a container that is made, what was not found is its image: clients would fetch that.
            raise InvalidParameter(error.message) from error
        undo.push(self._volumes.release, volume.name, record.id, mount.anonymous)
        mount.volume = mount.point.name = volume.name
        mount.point.driver = volume.driver
        mount.point.source = volume.place

    async def _make_view(self, record: Record, mount: Mounted, undo: Undo) -> None:
        """A snapshot of an image for one mount alone, which keeps the image's layers."""
        image = await self._images.runnable(mount.point.name, None)
        words = f"{record.id} {mount.point.destination}".encode()
        key = f"{record.id}-{hashlib.sha256(words).hexdigest()[:12]}"
        base = await self._roots.base(record.host_config, image.chain, image.manifest)
        await self._snapshotter.view(key, base, snapshot_labels(record.id))
        undo.push(self._snapshotter.remove, key)
        mount.snapshot, mount.point.source = key, image.id

    async def fill(self, record: Record) -> None:
        """Copy what the image has under each new volume's mount point into the volume, if that is empty."""
        wanting = [mount for mount in record.mounts if mount.point.type == "volume" and not mount.no_copy]
        if not wanting:
            return
        async with mounted(await self._snapshotter.mounts(record.id)) as root:
            for mount in wanting:
                # A volume that cannot be mounted yet is no obstacle to a container that is only made.
                if not await has_directory(root, mount.point.destination):
                    continue
                source = await self._volumes.mount(mount.volume, record.id)
                try:
                    await _fill_one(root, mount, source)
                finally:
                    await asyncio.shield(self._volumes.unmount(mount.volume, record.id))

    async def free(self, record: Record, *, anonymous: bool) -> None:
        """Let go of every volume; with `anonymous`, remove the ones that were made for this container."""
        for mount in record.mounts:
            if mount.snapshot:
                await self._snapshotter.remove(mount.snapshot)
            if mount.point.type == "volume":
                await self._volumes.release(mount.volume, record.id, anonymous and mount.anonymous)


async def _fill_one(root: Path, mount: Mounted, volume: Path) -> None:
    """Fill the part of the volume that is mounted; a single file is not filled."""
    if not mount.subpath:
        await copy_up(root, mount.point.destination, volume)
        return
    with opened_beneath(volume, mount.subpath) as part:
        if part.is_dir():
            await copy_up(root, mount.point.destination, part)
