"""This file is about local volumes: directories below one root, or what mount(8) could mount there."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from moby.core.errors import Conflict, InvalidParameter, NotFound, System
from moby.core.snapshots import Mount
from moby.core.volumes import DriverVolume, VolumeDriver
from moby.host.files import remove_tree, translated, write_atomic
from moby.host.mounts import mount, unmount
from moby.host.threads import blocking

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OPTIONS = frozenset({"type", "o", "device"})


class Local(VolumeDriver):
    """Keeps a volume as `ROOT/NAME/_data`; with options, mounts something there while it is in use."""

    name = "local"
    scope: Literal["local", "global"] = "local"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._users: dict[str, set[str]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _data(self, name: str) -> Path:
        return self._root / name / "_data"

    async def create(self, name: str, options: Mapping[str, str]) -> DriverVolume:
        """See `VolumeDriver.create`."""
        if not _NAME.fullmatch(name):
            raise InvalidParameter(
                f'create {name}: "{name}" includes invalid characters for a local volume name, only '
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
                "If you intended to pass a host directory, use absolute path"
            )
        _check(name, options)
        async with self._lock(name):
            try:
                await blocking(self._make, name, options)
            except OSError as error:
                raise translated(error, f"create {name}: cannot make volume") from error
        return await self.get(name)

    def _make(self, name: str, options: Mapping[str, str]) -> None:
        data = self._data(name)
        self._root.mkdir(mode=0o701, parents=True, exist_ok=True)
        data.parent.mkdir(mode=0o701, exist_ok=True)
        if options:
            write_atomic(data.parent / "opts.json", msgspec.json.encode(dict(options)))
        data.mkdir(mode=0o755, exist_ok=True)

    async def get(self, name: str) -> DriverVolume:
        """See `VolumeDriver.get`."""
        data = self._data(name)
        try:
            found = await blocking(os.stat, data)
        except OSError as error:
            raise NotFound(f"get {name}: no such volume") from error
        return DriverVolume(name, data, datetime.fromtimestamp(found.st_ctime, UTC))

    async def mount(self, name: str, user: str) -> Path:
        """See `VolumeDriver.mount`."""
        volume = await self.get(name)
        async with self._lock(name):
            users = self._users.setdefault(name, set())
            if not users and (options := await blocking(self._options, name)):
                await blocking(self._mount, name, options)
            users.add(user)
        return volume.mountpoint

    def _options(self, name: str) -> dict[str, str]:
        path = self._data(name).parent / "opts.json"
        if not path.exists():
            return {}
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])

    def _mount(self, name: str, options: Mapping[str, str]) -> None:
        words = tuple(word for word in options.get("o", "").split(",") if word)
        kind, device, target = options.get("type", "none"), options.get("device", ""), self._data(name)
        if os.path.ismount(target):
            return
        try:
            mount(Mount("" if kind == "none" else kind, device, words), target)
        except OSError as error:
            raise System(
                f"error while mounting volume '{target}': failed to mount local volume: "
                f"mount {device}:{target}, "
                f"flags/data: {options.get('o', '')}: {(error.strerror or '').lower()}"
            ) from error

    async def unmount(self, name: str, user: str) -> None:
        """See `VolumeDriver.unmount`."""
        async with self._lock(name):
            users = self._users.get(name, set())
            users.discard(user)
            if not users:
                self._users.pop(name, None)
                if await blocking(self._options, name):
                    await blocking(unmount, self._data(name))

    async def remove(self, name: str) -> None:
        """See `VolumeDriver.remove`."""
        await self.get(name)
        async with self._lock(name):
            if self._users.get(name):
                raise Conflict(f"remove {name}: volume is in use")
            if await blocking(self._options, name):
                await blocking(unmount, self._data(name))
            await remove_tree(self._root / name)
        self._locks.pop(name, None)

    async def list(self) -> Sequence[DriverVolume]:
        """See `VolumeDriver.list`."""
        if not await blocking(self._root.is_dir):
            return []
        names = await blocking(os.listdir, self._root)
        found = []
        for name in sorted(names):
            try:
                found.append(await self.get(name))
            except NotFound:
                continue
        return found


def _check(name: str, options: Mapping[str, str]) -> None:
    for key in options:
        if key not in _OPTIONS:
            raise InvalidParameter(f'create {name}: invalid option: "{key}"')
    if not options:
        return
    kind = options.get("type", "")
    if "device" not in options and (kind or options.get("o")):
        raise InvalidParameter(f'create {name}: missing required option: "device"')
    if not kind and "bind" not in options.get("o", ""):
        raise InvalidParameter(f'create {name}: missing required option: "type"')
