"""This file is about a container's mounts when it starts: where on the host each one comes from."""

from __future__ import annotations

import os
from pathlib import Path

from moby.core.errors import InvalidParameter, System
from moby.core.snapshots import Snapshotter
from moby.core.undo import Undo
from moby.engine.containers.places import Places
from moby.engine.containers.record import Mounted, Record
from moby.engine.containers.roots import Roots
from moby.host.files import make_mount_source
from moby.host.mounts import mount_of
from moby.host.threads import blocking
from moby.runtime.spec import Bind
from moby.volumes.service import Volumes

# Those that can make everything below a mount read-only.
_DEEP_RUNTIMES = frozenset({"runc", "crun"})


class Binder:
    """Turns a container's mounts into binds for its spec, mounting what they need on the host."""

    def __init__(self, volumes: Volumes, snapshotter: Snapshotter, places: Places, roots: Roots) -> None:
        self._volumes = volumes
        self._snapshotter = snapshotter
        self._places = places
        self._roots = roots

    async def binds(self, record: Record, undo: Undo) -> list[Bind]:
        """Everything but tmpfs. Raises for what cannot be mounted, in dockerd's words."""
        undo.push(self._places.release, record.id)
        return [
            await self._bind(record, mount, undo) for mount in record.mounts if mount.point.type != "tmpfs"
        ]

    async def _bind(self, record: Record, mount: Mounted, undo: Undo) -> Bind:
        point = mount.point
        source = await self._source(record, mount, undo)
        propagation = point.propagation or "rprivate"
        if point.type == "bind" and propagation in ("shared", "rshared", "slave", "rslave"):
            propagation = await blocking(_checked_propagation, source, propagation, fallback=mount.in_root)
        return Bind(
            source,
            point.destination,
            writable=point.rw,
            propagation=propagation,
            recursive=not mount.non_recursive,
            # Below a file there is nothing, and some runtimes take it for a directory then.
            deep=not point.rw
            and _deep(mount, record.host_config.runtime)
            and await blocking(os.path.isdir, source),
        )

    async def _source(self, record: Record, mount: Mounted, undo: Undo) -> str:
        point = mount.point
        if point.type == "image":
            place = await self._places.tree(record.id, await self._snapshotter.mounts(mount.snapshot))
            return str(await self._inside(record, place, mount.subpath))
        if point.type == "volume":
            undo.push(self._volumes.unmount, mount.volume, record.id)
            place = await self._volumes.mount(mount.volume, record.id)
            point.source = str(place)
            return str(await self._inside(record, place, mount.subpath))
        if mount.create_source:
            await blocking(make_mount_source, point.source, self._roots.ids(record.host_config).root)
        return point.source

    async def _inside(self, record: Record, root: Path, path: str) -> Path:
        return await self._places.part(record.id, root, path) if path else root


def _deep(mount: Mounted, runtime: str) -> bool:
    """Is what is mounted below a read-only mount to be read-only too? Raises InvalidParameter, System."""
    if mount.shallow_read_only:
        if mount.recursive_read_only:
            raise InvalidParameter("mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive")
        return False
    lacking = _lacks_deep(runtime)
    if lacking and mount.recursive_read_only:
        raise System(lacking)
    return not lacking


def _lacks_deep(runtime: str) -> str:
    """Why nothing can be made read-only all the way down; empty if it can."""
    major, minor = os.uname().release.split(".")[:2]
    if (int(major), int("".join(filter(str.isdigit, minor)) or 0)) < (5, 12):
        return f"rro is not supported: kernel 5.12 or newer is needed, this is {os.uname().release}"
    return "" if runtime in _DEEP_RUNTIMES else f'rro is not supported by runtime "{runtime}"'


def _checked_propagation(source: str, asked: str, *, fallback: bool) -> str:
    """`asked`, if the mount that `source` is on can do it; with `fallback`, private otherwise."""
    entry = mount_of(Path(source))
    if asked in ("shared", "rshared"):
        if entry.shared:
            return asked
        raise InvalidParameter(f"path {source} is mounted on {entry.target} but it is not a shared mount")
    if entry.shared or entry.slave:
        return asked
    if fallback:
        return "rprivate"
    raise InvalidParameter(
        f"path {source} is mounted on {entry.target} but it is not a shared or slave mount"
    )
