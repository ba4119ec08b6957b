"""This file is about local volumes: directories below one root, or what mount(8) could mount there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

import msgspec

from moby.core.errors import Conflict, DataLoss, InvalidParameter, NotFound, System
from moby.core.volumes import DriverVolume, VolumeDriver
from moby.host import quotas
from moby.host.files import sync_directory, translated, translation, write_atomic
from moby.host.mounting import parse_options
from moby.host.mounts import is_mount_point, mount, mount_table, unmount
from moby.host.threads import blocking, finishing
from moby.volumes.local_options import LocalOptions, parse_local_options

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OPTIONS = "opts.json"
_REMOVED = ".removed-"


class Local(VolumeDriver):
    """Keeps a volume as `ROOT/NAME/_data`; with options, mounts something there while it is in use."""

    name = "local"
    scope: Literal["local", "global"] = "local"

    def __init__(self, root: Path, owner: tuple[int, int] = (0, 0)) -> None:
        self._root = root
        self._owner = owner
        self._users: dict[str, set[str]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    def _data(self, name: str) -> Path:
        return self._root / name / "_data"

    async def create(self, name: str, options: Mapping[str, str]) -> DriverVolume:
        """See `VolumeDriver.create`."""
        _check_name(name)
        parsed = parse_local_options(options)
        async with self._lock(name):
            try:
                await finishing(self._make, name, parsed if options else None)
            except OSError as error:
                raise translated(
                    error, f"error while creating volume root path '{self._root / name}'"
                ) from error
        return await self.get(name)

    def _make(self, name: str, options: LocalOptions | None) -> None:
        """The data directory comes last: where it is, there is a whole volume."""
        data = self._data(name)
        if data.is_dir():
            return
        self._root.mkdir(mode=0o701, parents=True, exist_ok=True)
        size = options.quota.size if options else 0
        if size and not quotas.supported(self._root):
            raise InvalidParameter("quota size requested but no quota support")
        try:
            data.parent.mkdir(mode=0o701, exist_ok=True)
            if options is not None:
                write_atomic(data.parent / _OPTIONS, msgspec.json.encode(options))
            made = data.with_name(f"{data.name}.new")
            made.mkdir(mode=0o755, exist_ok=True)
            os.chown(made, *self._owner)
            if size:
                quotas.limit(made, size)
            made.rename(data)
            sync_directory(data.parent)
            sync_directory(self._root)
        except OSError:
            shutil.rmtree(data.parent, ignore_errors=True)
            raise

    async def get(self, name: str) -> DriverVolume:
        """See `VolumeDriver.get`."""
        return await blocking(self._get, name)

    def _get(self, name: str) -> DriverVolume:
        data = self._data(name)
        if not _NAME.fullmatch(name) or not data.is_dir():
            raise NotFound(f"no such volume: {name}")
        return DriverVolume(name, data, datetime.fromtimestamp(data.parent.stat().st_ctime, UTC))

    async def mount(self, name: str, user: str) -> Path:
        """See `VolumeDriver.mount`. Raises System in mount(8)'s words if it cannot be mounted."""
        async with self._lock(name):
            volume = await self.get(name)
            users = self._users.get(name, set())
            try:
                await finishing(self._mount, name)
            except BaseException:
                if not users:
                    await finishing(self._unmount, name)
                raise
            self._users[name] = {*users, user}
        return volume.mountpoint

    def _options(self, name: str) -> LocalOptions:
        path = self._data(name).parent / _OPTIONS
        try:
            return msgspec.json.decode(path.read_bytes(), type=LocalOptions)
        except FileNotFoundError:
            return LocalOptions()
        except msgspec.MsgspecError as error:
            raise DataLoss(f"cannot read the options of volume {name} in {path}: {error}") from error

    def _mount(self, name: str) -> None:
        options, target = self._options(name), self._data(name)
        # It may be mounted still from before we were started.
        if not options.mounts or is_mount_point(target):
            return
        try:
            wanted = options.mount()
        except System as error:
            raise System(f"error while mounting volume '{target}': {error.message}") from error
        try:
            mount(wanted, target)
        except OSError as error:
            flags, data, _ = parse_options(wanted.options)
            words = f"mount {wanted.source}:{target}"
            words += f", flags: {flags:#x}" if flags else ""
            words += f", data: {parse_options(options.redacted().split(',')).data}" if data else ""
            raise System(
                f"error while mounting volume '{target}': failed to mount local volume: "
                f"{words}: {os.strerror(error.errno or 0).lower()}"
            ) from error

    async def unmount(self, name: str, user: str) -> None:
        """See `VolumeDriver.unmount`."""
        async with self._lock(name):
            users = self._users.get(name)
            if users is None or user not in users:
                return
            users.discard(user)
            if not users:
                del self._users[name]
                await finishing(self._unmount, name)

    async def restore(self, name: str, user: str) -> None:
        """See `VolumeDriver.restore`."""
        async with self._lock(name):
            self._users.setdefault(name, set()).add(user)

    def _unmount(self, name: str) -> None:
        """Whatever was mounted on the data, once or more often: what lies below it is not ours to remove."""
        target = self._data(name)
        if not self._options(name).mounts:
            return
        while is_mount_point(target):
            unmount(target)

    async def remove(self, name: str) -> None:
        """See `VolumeDriver.remove`."""
        async with self._lock(name):
            await self.get(name)
            if self._users.get(name):
                raise Conflict("volume has active mounts")
            try:
                await finishing(self._remove, name)
            except OSError as error:
                raise System(f"error removing volume path '{self._data(name)}': {error}") from error

    def _remove(self, name: str) -> None:
        place = self._root / name
        self._unmount(name)
        real, root = os.path.realpath(self._data(name)), os.path.realpath(self._root)
        if not real.startswith(f"{root}/"):
            raise System(f"unable to remove a directory outside of the local volume root {root}: {real}")
        held = f"{os.path.realpath(place)}/"
        for entry in mount_table():
            if f"{entry.target}/".startswith(held):
                raise System(f"error removing volume path '{place}': {entry.target} is mounted")
        limited = bool(self._options(name).quota.size)
        # By one step it is no volume any more; what a crash leaves of the data, the next start removes.
        gone = self._root / f"{_REMOVED}{os.urandom(8).hex()}"
        place.rename(gone)
        sync_directory(self._root)
        if limited:
            # Only now: a volume that a crash leaves has its limit still. One of nothing limits nobody.
            with contextlib.suppress(OSError):
                quotas.free(gone / self._data(name).name)
        shutil.rmtree(gone)

    async def rename(self, name: str, new: str) -> None:
        """See `VolumeDriver.rename`."""
        _check_name(new)
        async with self._lock(name):
            await self.get(name)
            if self._users.get(name):
                raise Conflict("volume has active mounts")
            with translation(f"cannot rename volume {name}"):
                await finishing(self._rename, name, new)

    def _rename(self, name: str, new: str) -> None:
        place = self._root / new
        if place.exists():
            raise Conflict(f"volume {new} already exists")
        (self._root / name).rename(place)
        sync_directory(self._root)

    async def list(self) -> Sequence[DriverVolume]:
        """See `VolumeDriver.list`."""
        return await blocking(self._list)

    def _list(self) -> Sequence[DriverVolume]:
        found = []
        for name in sorted(os.listdir(self._root)) if self._root.is_dir() else ():
            try:
                found.append(self._get(name))
            except (NotFound, FileNotFoundError):
                continue
        return found

    async def sweep(self) -> None:
        """Finish the removals that a crash has interrupted; once, at start."""
        await blocking(self._sweep)

    def _sweep(self) -> None:
        for path in self._root.glob(f"{_REMOVED}*"):
            log.info("removing what was left of a volume", extra={"path": str(path)})
            shutil.rmtree(path, ignore_errors=True)


def _check_name(name: str) -> None:
    """Raises InvalidParameter for one that could lead elsewhere."""
    if len(name.encode()) == 1:  # dockerd counts bytes.
        raise InvalidParameter(
            "volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            f'"{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path"
        )
