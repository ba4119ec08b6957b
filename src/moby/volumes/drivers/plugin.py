"""This file is about volumes that a plugin keeps: another process, which is asked for everything."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import msgspec

from moby.core.errors import MobyError, NotFound, System
from moby.core.plugins import Plugin, Unreached
from moby.core.volumes import DriverVolume, VolumeDriver
from moby.host.threads import blocking

log = logging.getLogger(__name__)

_SUBSYSTEM = "VolumeDriver"
_SHORT_S, _LONG_S, _LISTING_S = 60.0, 120.0, 5.0


class _Answer(msgspec.Struct, rename="pascal"):
    err: str = ""


class _Place(_Answer):
    mountpoint: str = ""


class _Volume(msgspec.Struct, rename="pascal"):
    name: str = ""
    mountpoint: str = ""
    created_at: str = ""
    status: dict[str, Any] = msgspec.field(default_factory=dict)

    def told(self) -> DriverVolume:
        return DriverVolume(self.name, Path(self.mountpoint), _moment(self.created_at), self.status)


class _One(_Answer):
    volume: _Volume | None = None


class _Every(_Answer):
    volumes: list[_Volume] = msgspec.field(default_factory=list)


class _Capability(msgspec.Struct, rename="pascal"):
    scope: str = ""


class _Capabilities(_Answer):
    capabilities: _Capability = msgspec.field(default_factory=_Capability)


A = TypeVar("A", bound=_Answer)


class PluginVolumes(VolumeDriver):
    """A plugin as a driver.

    The plugin counts the users of its volumes: it is told of each that comes and goes, and of none twice. A
    volume that is not mounted may have no place yet; its mountpoint is empty then. What the plugin says is
    wrong is told in its words, as System; only that a volume is not there is worked out by asking for it.
    """

    def __init__(self, plugin: Plugin, scope: Literal["local", "global"]) -> None:
        self.name = plugin.name
        self.scope = scope
        self.plugin = plugin
        self._users: set[tuple[str, str]] = set()

    @classmethod
    async def of(cls, plugin: Plugin) -> Self:
        """The driver of a plugin that has been activated; its scope is `local` if it does not tell."""
        scope: Literal["local", "global"] = "local"
        try:
            told = await plugin.call(
                f"{_SUBSYSTEM}.Capabilities", {}, _Capabilities, limit_s=_LISTING_S, patient=False
            )
        except MobyError as error:
            log.debug(
                "a plugin does not tell what it can", extra={"plugin": plugin.name, "error": str(error)}
            )
        else:
            if told.capabilities.scope.lower() == "global":
                scope = "global"
            elif told.capabilities.scope.lower() not in ("", "local"):
                log.warning("volume driver returned an invalid scope", extra={"driver": plugin.name})
        return cls(plugin, scope)

    async def _ask(self, method: str, kind: type[A], limit_s: float = _SHORT_S, **request: object) -> A:
        """Raises System in the plugin's words, and what `Plugin.call` raises."""
        answer = await self.plugin.call(f"{_SUBSYSTEM}.{method}", request, kind, limit_s=limit_s)
        if answer.err:
            raise System(answer.err)
        return answer

    async def create(self, name: str, options: Mapping[str, str]) -> DriverVolume:
        """See `VolumeDriver.create`; what is there already is left as it is."""
        try:
            return await self.get(name)
        except NotFound:
            await self._ask("Create", _Answer, _LONG_S, Name=name, Opts=dict(options))
            return await self.get(name)

    async def get(self, name: str) -> DriverVolume:
        """See `VolumeDriver.get`; whatever error the plugin has to tell means that it is not there."""
        return await self._get(name, _SHORT_S, patient=True)

    async def look(self, name: str) -> DriverVolume:
        """As `get`, for who does not know whether it may be there, and does not wait."""
        return await self._get(name, _LISTING_S, patient=False)

    async def _get(self, name: str, limit_s: float, *, patient: bool) -> DriverVolume:
        answer = await self.plugin.call(
            f"{_SUBSYSTEM}.Get", {"Name": name}, _One, limit_s=limit_s, patient=patient
        )
        if answer.volume is None or answer.err:
            log.debug("no such volume", extra={"driver": self.name, "volume": name, "error": answer.err})
            raise NotFound(f"no such volume: {name}")
        found = answer.volume.told()
        if not answer.volume.mountpoint:
            try:
                place = await self._ask("Path", _Place, Name=name)
            except MobyError as error:
                log.debug("no place", extra={"driver": self.name, "volume": name, "error": str(error)})
            else:
                found = DriverVolume(found.name, Path(place.mountpoint), found.created_at, found.status)
        return found

    async def mount(self, name: str, user: str) -> Path:
        """See `VolumeDriver.mount`. Raises System if the plugin does not do it, or says it did.

        Raises Unreached if it may have done it, and was away when it was to be told of the end.
        """
        try:
            before = await self.get(name)
        except Unreached as error:
            raise System(error.message) from error
        if (name, user) in self._users and await _is_place(before.mountpoint):
            return before.mountpoint
        what = f"error while mounting volume '{'' if before.mountpoint == Path() else before.mountpoint}'"
        try:
            # Whatever comes of it, the plugin is told of the end.
            self._users.add((name, user))
            place = Path((await self._ask("Mount", _Place, _LONG_S, Name=name, ID=user)).mountpoint)
            if not await _is_place(place):
                raise System(f"'{place}', where driver {self.name} has mounted it, is no path on this host")
        except MobyError as error:
            failure = System(f"{what}: {error.message}")
            if isinstance(error, Unreached):
                # It never heard of this user.
                self._users.discard((name, user))
                raise failure from error
            try:
                await self.unmount(name, user)
            except Unreached:
                failure = Unreached(failure.message)
            raise failure from error
        return place

    async def unmount(self, name: str, user: str) -> None:
        """See `VolumeDriver.unmount`. What the plugin says to it is logged: nobody could do anything.

        Raises Unreached if the plugin was away: it counts the user still.
        """
        if (name, user) not in self._users:
            return
        self._users.discard((name, user))
        try:
            await self._ask("Unmount", _Answer, Name=name, ID=user)
        except Unreached:
            raise
        except MobyError as error:
            log.warning("not unmounted", extra={"driver": self.name, "volume": name, "error": error.message})

    async def restore(self, name: str, user: str) -> None:
        """See `VolumeDriver.restore`; the plugin has it counted."""
        self._users.add((name, user))

    async def remove(self, name: str) -> None:
        """See `VolumeDriver.remove`."""
        await self.get(name)
        await self._ask("Remove", _Answer, Name=name)

    async def list(self) -> Sequence[DriverVolume]:
        """See `VolumeDriver.list`; one that does not answer at once holds nobody up."""
        answer = await self.plugin.call(f"{_SUBSYSTEM}.List", {}, _Every, limit_s=_LISTING_S, patient=False)
        if answer.err:
            raise System(answer.err)
        return [volume.told() for volume in answer.volumes if volume.name]


async def _is_place(path: Path) -> bool:
    return path.is_absolute() and await blocking(os.path.exists, path)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year > 1 else None
