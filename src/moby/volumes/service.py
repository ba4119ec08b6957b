"""This file is about all volumes of all drivers: by name, with labels, and with who uses them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from moby.core.errors import Conflict, InvalidParameter, NotFound
from moby.core.store import Store, Table
from moby.core.volumes import VolumeDriver
from moby.host.threads import blocking

ANONYMOUS_LABEL = "com.docker.volume.anonymous"


class VolumeRecord(msgspec.Struct):
    """A volume as it is stored; `users` are the containers that refer to it."""

    name: str
    driver: str
    created: str
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    options: dict[str, str] = msgspec.field(default_factory=dict)
    users: list[str] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """A volume with what its driver says of it."""

    name: str
    driver: str
    mountpoint: Path
    created: str
    scope: str = "local"
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    status: Mapping[str, object] = field(default_factory=dict)
    users: Sequence[str] = ()

    @property
    def anonymous(self) -> bool:
        """Was it made without a name?"""
        return ANONYMOUS_LABEL in self.labels


class Volumes:
    """Makes, finds, uses and removes volumes.

    Life: a volume is made by `create`, or by `acquire` for a container, which also notes that it is used;
    `release` takes that note back. Both are on disk when they return, so that a volume in use is never
    removed, whatever happened in between.
    """

    def __init__(self, drivers: Mapping[str, VolumeDriver], store: Store) -> None:
        self._drivers = drivers
        self._table = Table(store, "volumes", VolumeRecord)
        self._records: dict[str, VolumeRecord] = {}

    @property
    def drivers(self) -> list[str]:
        """The names of the drivers."""
        return sorted(self._drivers)

    async def load(self) -> None:
        """Take the stored volumes back in; once, at start."""
        self._records = await self._table.load()

    def _driver(self, name: str) -> VolumeDriver:
        driver = self._drivers.get(name)
        if driver is None:
            raise NotFound(
                f'error looking up volume plugin {name}: plugin "{name}" not found',
                hint="name it in the assembly",
            )
        return driver

    def _record(self, name: str) -> VolumeRecord:
        record = self._records.get(name)
        if record is None:
            raise NotFound(f"get {name}: no such volume")
        return record

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        user: str = "",
    ) -> StoredVolume:
        """A volume; the one there is if driver and options are the same. Raises Conflict otherwise."""
        labels = dict(labels or {})
        if not name:
            name = os.urandom(32).hex()
            labels[ANONYMOUS_LABEL] = ""
        record = self._records.get(name)
        if record is not None:
            if record.driver != driver or (options and record.options != dict(options)):
                raise Conflict(
                    f"create {name}: conflict: volume name must be unique: "
                    f'driver "{record.driver}" is in use for it with other options'
                )
            if user and user not in record.users:
                record.users.append(user)
                await self._table.save(name, record)
            return await self.get(name)
        made = await self._driver(driver).create(name, dict(options or {}))
        created = (made.created_at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
        record = VolumeRecord(name, driver, created, labels, dict(options or {}), [user] if user else [])
        self._records[name] = record
        await self._table.save(name, record)
        return await self.get(name)

    async def acquire(
        self, name: str, *, driver: str, options: Mapping[str, str], labels: Mapping[str, str], user: str
    ) -> StoredVolume:
        """As `create`, used by `user` from now on; a named volume that is there keeps its driver."""
        if name in self._records and not options:
            driver = self._records[name].driver
        return await self.create(name, driver=driver, options=options, labels=labels, user=user)

    async def release(self, name: str, user: str, remove: bool = False) -> None:
        """No longer used by `user`; with `remove`, gone if nobody else uses it."""
        record = self._records.get(name)
        if record is None:
            return
        if user in record.users:
            record.users.remove(user)
            await self._table.save(name, record)
        if remove and not record.users:
            await self.remove(name, force=True)

    async def get(self, name: str) -> StoredVolume:
        """Raises NotFound."""
        record = self._record(name)
        driver = self._driver(record.driver)
        found = await driver.get(name)
        return StoredVolume(
            name,
            record.driver,
            found.mountpoint,
            record.created,
            driver.scope,
            record.labels,
            record.options,
            found.status,
            tuple(record.users),
        )

    async def mount(self, name: str, user: str) -> Path:
        """Where it can be used."""
        return await self._driver(self._record(name).driver).mount(name, user)

    async def unmount(self, name: str, user: str) -> None:
        """End a use; no error if there is none."""
        record = self._records.get(name)
        if record is not None:
            await self._driver(record.driver).unmount(name, user)

    async def remove(self, name: str, *, force: bool = False) -> StoredVolume | None:
        """The volume that was removed. Raises Conflict while it is used, NotFound unless forced."""
        record = self._records.get(name)
        if record is None:
            if force:
                return None
            raise NotFound(f"get {name}: no such volume")
        if record.users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(record.users)}]")
        shown = StoredVolume(name, record.driver, Path(), record.created)
        try:
            await self._driver(record.driver).remove(name)
        except NotFound:
            if not force:
                raise
        self._records.pop(name, None)
        await self._table.delete(name)
        return shown

    async def size(self, name: str) -> int:
        """Its bytes on disk, counted."""
        return await blocking(_size, (await self.get(name)).mountpoint)

    async def list(self) -> Sequence[StoredVolume]:
        """Every volume; one whose driver lost it is left out."""
        found = []
        for name in list(self._records):
            try:
                found.append(await self.get(name))
            except (NotFound, InvalidParameter):
                continue
        return found


def _size(path: Path) -> int:
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            total += os.lstat(os.path.join(directory, name)).st_blocks * 512
    return total
