"""This file is about all volumes of all drivers: by name, with labels, and with who uses them."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from moby.core.errors import Conflict, MobyError, NotFound
from moby.core.events import Bus
from moby.core.plugins import Plugins, Unreached
from moby.core.store import Store, Table
from moby.core.undo import Undo
from moby.core.volumes import DriverVolume, VolumeDriver
from moby.host.threads import blocking
from moby.volumes.lookup import DriverLookup
from moby.volumes.records import ANONYMOUS_LABEL, StoredVolume, VolumeRecord, created, stored, untold

log = logging.getLogger(__name__)

_DEFAULT_DRIVER = "local"
_LOOKING = "still-"


class Volumes:
    """Makes, finds, uses and removes volumes.

    Life: a volume is made by `create`, or by `acquire` for a container, which also notes that it is used;
    `release` takes that note back. Both are on disk when they return, so that a volume in use is never
    removed, whatever happened in between. `mount` and `unmount` are for as long as a container runs; after a
    restart `restore` says of those that ran on that they have them mounted. A volume that a plugin has, and
    nobody has made here, is one as soon as somebody names it.
    Cancellation: after a cancelled call the volume exists or does not, and is found either way.
    Whatever makes or removes one, listeners on the bus are told.
    """

    def __init__(
        self,
        drivers: Mapping[str, VolumeDriver],
        store: Store,
        bus: Bus | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        self._drivers = DriverLookup(drivers, plugins)
        self._bus = bus
        self._table = Table(store, "volumes", VolumeRecord)
        self._records: dict[str, VolumeRecord] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._mounted: dict[str, set[str]] = {}
        self._still: Counter[str] = Counter()

    @property
    def drivers(self) -> Sequence[str]:
        """The names of the drivers, and of the plugins that have been used."""
        return self._drivers.names

    async def load(self) -> None:
        """Take the stored volumes back in; once, at start.

        What a driver has and nobody wrote down becomes a volume, what it has lost and nobody uses is
        forgotten: a crash came between the two. Plugins are asked later: they may come up after us.
        """
        self._records = await self._table.load()
        for driver in self._drivers.own.values():
            try:
                found = {volume.name: volume for volume in await driver.list()}
            except MobyError:
                log.exception("cannot list volumes", extra={"driver": driver.name})
                continue
            for name in found.keys() - self._records.keys():
                await self._save(VolumeRecord(name, driver.name, created(found[name])))
            for record in list(self._records.values()):
                if record.driver == driver.name and record.name not in found and not record.users:
                    await self._forget(record.name)

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    async def _save(self, record: VolumeRecord) -> None:
        await self._table.save(record.name, record)
        self._records[record.name] = record

    async def _forget(self, name: str) -> None:
        await self._table.delete(name)
        self._records.pop(name, None)

    async def _kept(self, record: VolumeRecord) -> tuple[VolumeDriver, DriverVolume | None]:
        """The driver of a volume, and what it knows of it; None if the driver has it no more."""
        try:
            driver = await self._drivers.find(record.driver)
            try:
                return driver, await driver.get(record.name)
            except NotFound:
                return driver, None
        except MobyError as error:
            raise type(error)(
                f'get {record.name}: error while checking if volume "{record.name}" exists in driver '
                f'"{record.driver}": {error.message}'
            ) from error

    async def _find(self, name: str) -> tuple[VolumeRecord, VolumeDriver, DriverVolume]:
        """A volume with its driver, which has it. Raises NotFound, and what the driver raises."""
        record = self._records.get(name)
        if record is None:
            return await self._probe(name)
        driver, found = await self._kept(record)
        if found is None:
            raise NotFound(f"get {name}: no such volume")
        return record, driver, found

    async def _probe(self, name: str) -> tuple[VolumeRecord, VolumeDriver, DriverVolume]:
        """A volume that some plugin has made of its own accord; from now on it is one of ours."""
        for driver in await self._drivers.plugged():
            try:
                found = await driver.look(name)
            except MobyError:
                continue
            if name in self._records:
                # Somebody else was as curious.
                return await self._find(name)
            record = VolumeRecord(name, driver.name, created(found))
            await self._save(record)
            return record, driver, found
        raise NotFound(f"get {name}: no such volume")

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        user: str = "",
    ) -> StoredVolume:
        """A volume; the one there is, whatever its options and labels, if `driver` is its own or empty.

        Without a name it gets one and is anonymous. Raises Conflict if another driver has the name, and what
        the driver raises.
        """
        labels = dict(labels or {})
        if not name:
            name, driver = os.urandom(32).hex(), driver or _DEFAULT_DRIVER
            labels[ANONYMOUS_LABEL] = ""
        async with self._lock(name):
            record = await self._existing(name, driver)
            if record is None:
                record = await self._make(name, driver or _DEFAULT_DRIVER, dict(options or {}), labels, user)
            elif user and user not in record.users:
                await self._save(msgspec.structs.replace(record, users=[*record.users, user]))
            return await self.get(name)

    async def _existing(self, name: str, driver: str) -> VolumeRecord | None:
        record = self._records.get(name)
        if record is None:
            if driver:
                return None
            try:
                return (await self._probe(name))[0]
            except NotFound:
                return None
        if driver and driver != record.driver:
            await self._driver(name, driver)
        try:
            _, found = await self._kept(record)
        except MobyError as error:
            raise Conflict(
                f"create {name}: found reference to volume '{name}' in driver '{record.driver}', but got an "
                f"error while checking the driver: {error.message.removeprefix(f'get {name}: ')}: "
                "volume name must be unique"
            ) from error
        if found is not None:
            if driver and driver != record.driver:
                raise Conflict(
                    f"create {name}: driver '{record.driver}' already has volume '{name}': "
                    "volume name must be unique"
                )
            return record
        if record.users:
            raise Conflict(
                f"create {name}: found references to volume '{name}' in driver '{record.driver}' but the "
                "volume was not found in the driver -- you may need to remove containers referencing "
                "this volume or force remove the volume to re-create it: volume name must be unique"
            )
        return None

    async def _driver(self, name: str, driver: str) -> VolumeDriver:
        try:
            return await self._drivers.find(driver)
        except MobyError as error:
            raise type(error)(f"create {name}: {error.message}", hint=error.hint) from error

    async def _make(
        self, name: str, driver: str, options: dict[str, str], labels: dict[str, str], user: str
    ) -> VolumeRecord:
        keeper = await self._driver(name, driver)
        try:
            made = await keeper.create(name, options)
        except MobyError as error:
            raise type(error)(f"create {name}: {error.message}", hint=error.hint) from error
        record = VolumeRecord(name, driver, created(made), labels, options, [user] if user else [])
        try:
            await self._save(record)
        except MobyError:
            await keeper.remove(name)
            raise
        self._tell("create", record)
        return record

    async def acquire(
        self, name: str, *, driver: str, options: Mapping[str, str], labels: Mapping[str, str], user: str
    ) -> StoredVolume:
        """As `create`, used by `user` from now on."""
        return await self.create(name, driver=driver, options=options, labels=labels, user=user)

    async def release(self, name: str, user: str, remove: bool = False) -> None:
        """No longer used by `user`; with `remove`, gone if nobody else uses it."""
        async with self._lock(name):
            record = self._records.get(name)
            if record is None:
                return
            if user in record.users:
                record = msgspec.structs.replace(record, users=[one for one in record.users if one != user])
                await self._save(record)
            if remove and not record.users:
                await self._remove(record, force=True)

    async def get(self, name: str) -> StoredVolume:
        """Raises NotFound (`get NAME: no such volume`), and what a plugin does not do."""
        return stored(*await self._find(name))

    async def mount(self, name: str, user: str) -> Path:
        """Where it can be used. Raises NotFound, System if it cannot be mounted, Conflict while `still`."""
        if self._still[name]:
            raise Conflict(f"volume {name} is being copied")
        return await self._mount(name, user)

    async def _mount(self, name: str, user: str) -> Path:
        users = self._mounted.setdefault(name, set())
        before, noted = user in users, False
        users.add(user)
        try:
            record, driver, _ = await self._find(name)
            if record.driver not in self._drivers.own:
                noted = await self._note_mounted(name, user, mounted=True)
                if not noted:
                    await driver.restore(name, user)
            return await driver.mount(name, user)
        except BaseException as error:
            if not before:
                users.discard(user)
            if noted and isinstance(error, MobyError) and not isinstance(error, Unreached):
                await self._note_mounted(name, user, mounted=False)
            raise

    async def unmount(self, name: str, user: str) -> None:
        """End a use; no error if there is none."""
        self._mounted.get(name, set()).discard(user)
        record = self._records.get(name)
        if record is None:
            return
        if record.driver in self._drivers.own:
            await self._drivers.own[record.driver].unmount(name, user)
        elif user in record.mounted:
            try:
                await self._unplug(record, user)
            except MobyError as error:
                # Its plugin counts it still, and is told when the volume is to go.
                log.warning("not unmounted yet", extra={"volume": name, "error": error.message})
            else:
                await self._note_mounted(name, user, mounted=False)

    async def _unplug(self, record: VolumeRecord, user: str) -> None:
        """Tell a plugin that somebody uses its volume no more."""
        driver = await self._drivers.find(record.driver)
        await driver.restore(record.name, user)
        await driver.unmount(record.name, user)

    async def _settled(self, record: VolumeRecord) -> VolumeRecord:
        """The record of a volume that nobody uses, when its plugin knows that. Raises as `Plugin.call`."""
        gone = [one for one in record.mounted if one not in self._mounted.get(record.name, ())]
        for user in gone:
            await self._unplug(record, user)
        if gone:
            record = msgspec.structs.replace(
                record, mounted=[one for one in record.mounted if one not in gone]
            )
            await self._save(record)
        return record

    @asynccontextmanager
    async def still(self, name: str) -> AsyncIterator[tuple[frozenset[str], Path]]:
        """In this block nobody begins to use the volume; who does already, and where it is."""
        self._still[name] += 1
        user = f"{_LOOKING}{os.urandom(8).hex()}"
        try:
            users = frozenset(one for one in self._mounted.get(name, ()) if not one.startswith(_LOOKING))
            place = await self._mount(name, user)
            try:
                yield users, place
            finally:
                await asyncio.shield(self.unmount(name, user))
        finally:
            self._still[name] -= 1

    async def _note_mounted(self, name: str, user: str, *, mounted: bool) -> bool:
        """Write down who has a plugin's volume mounted; False if that is so already."""
        async with self._lock(name):
            record = self._records.get(name)
            if record is None or (user in record.mounted) == mounted:
                return False
            others = [one for one in record.mounted if one != user]
            await self._save(msgspec.structs.replace(record, mounted=[*others, user] if mounted else others))
            return True

    async def restore(self, name: str, user: str) -> None:
        """A container that ran on while we were away has it mounted."""
        self._mounted.setdefault(name, set()).add(user)
        record = self._records.get(name)
        if record is not None and (own := self._drivers.own.get(record.driver)) is not None:
            await own.restore(name, user)

    async def remove(self, name: str, *, force: bool = False) -> StoredVolume | None:
        """The volume that was removed. Raises Conflict while it is used, NotFound unless forced."""
        async with self._lock(name):
            record = self._records.get(name)
            if record is None:
                try:
                    record, _, _ = await self._probe(name)
                except NotFound:
                    if force:
                        return None
                    raise
            return await self._remove(record, force=force)

    async def _remove(self, record: VolumeRecord, *, force: bool) -> StoredVolume:
        name = record.name
        if record.users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(record.users)}]")
        driver, _ = await self._kept(record)
        try:
            record = await self._settled(record)
            await driver.remove(name)
        except NotFound as error:
            await self._forget(name)
            if not force:
                raise NotFound(f"get {name}: no such volume") from error
        except MobyError as error:
            if force:
                await self._forget(name)
            raise type(error)(f"remove {name}: {error.message}", hint=error.hint) from error
        else:
            await self._forget(name)
        self._tell("destroy", record)
        return StoredVolume(name, record.driver, Path(), record.created, labels=record.labels)

    def _tell(self, action: str, record: VolumeRecord) -> None:
        if self._bus is not None:
            self._bus.publish("volume", action, record.name, {"driver": record.driver})

    async def rename(self, name: str, new: str) -> StoredVolume:
        """Give a volume another name, which must be nobody's. Raises Conflict while somebody refers to it.

        Written down first: of the two names the one that the driver has is kept after a crash.
        """
        first, second = sorted((name, new))
        if first == second:
            raise Conflict(f"volume {new} already exists")
        async with self._lock(first), self._lock(second), Undo() as undo:
            record, driver, _ = await self._find(name)
            if record.users or self._mounted.get(name):
                users = ", ".join(record.users or sorted(self._mounted[name]))
                raise Conflict(f"rename {name}: volume is in use - [{users}]")
            if new in self._records:
                raise Conflict(f"volume {new} already exists")
            undo.push(self._forget, new)
            await self._save(msgspec.structs.replace(record, name=new))
            await driver.rename(name, new)
            undo.keep()
            await self._forget(name)
        if self._bus is not None:
            self._bus.publish("volume", "rename", new, {"driver": record.driver, "oldName": name})
        return await self.get(new)

    async def size(self, name: str) -> int:
        """The bytes of its files, counted; a file with several names counts once."""
        return await blocking(_size, (await self.get(name)).mountpoint)

    async def list(self) -> Sequence[StoredVolume]:
        """As `survey`, without what went wrong."""
        return (await self.survey())[0]

    async def survey(self) -> tuple[Sequence[StoredVolume], Sequence[str]]:
        """Every volume that its driver has, whoever made it, and which drivers do not answer.

        Of those, what is known of their volumes is told.
        """
        found: list[StoredVolume] = []
        warnings: list[str] = []
        told: set[str] = set()
        drivers: dict[str, VolumeDriver] = {one.name: one for one in await self._drivers.plugged()}
        drivers |= self._drivers.own
        answers = await asyncio.gather(*(_listed(driver) for driver in drivers.values()))
        for (name, driver), listed in zip(drivers.items(), answers, strict=True):
            if isinstance(listed, MobyError):
                log.warning("cannot list volumes", extra={"driver": name, "error": listed.message})
                warnings.append(f"list {name}: {listed.message}")
                continue
            told.add(name)
            for volume in listed:
                record = self._records.get(volume.name) or VolumeRecord(volume.name, name, created(volume))
                if record.driver == name:
                    found.append(stored(record, driver, volume))
        rest = [untold(record) for record in self._records.values() if record.driver not in told]
        return [*found, *rest], warnings


async def _listed(driver: VolumeDriver) -> Sequence[DriverVolume] | MobyError:
    try:
        return await driver.list()
    except MobyError as error:
        return error


def _size(path: Path) -> int:
    sizes: dict[tuple[int, int], int] = {}
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                found = os.lstat(os.path.join(directory, name))
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(found.st_mode):
                sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())
