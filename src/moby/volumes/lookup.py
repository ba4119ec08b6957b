"""This file is about volume drivers by name: those of the assembly, and plugins for all other names."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.core.plugins import Plugin, Plugins, Subsystem
from moby.core.volumes import VolumeDriver
from moby.volumes.drivers.plugin import PluginVolumes

log = logging.getLogger(__name__)

_SUBSYSTEM: Subsystem = "VolumeDriver"


class DriverLookup:
    """Finds drivers. A plugin's is made when it is first asked for, and anew when the plugin is another."""

    def __init__(self, own: Mapping[str, VolumeDriver], plugins: Plugins | None = None) -> None:
        self.own = own
        self._plugins = plugins
        self._plugged: dict[str, PluginVolumes] = {}

    @property
    def names(self) -> Sequence[str]:
        """Those of the assembly, and of the plugins that have been used."""
        active = self._plugins.active(_SUBSYSTEM) if self._plugins is not None else ()
        return sorted({*self.own, *active})

    async def find(self, name: str) -> VolumeDriver:
        """Raises NotFound if there is none, and System for a plugin that does not work."""
        if (own := self.own.get(name)) is not None:
            return own
        if not name:
            raise InvalidParameter("driver name cannot be empty")
        what = f"error looking up volume plugin {name}"
        if self._plugins is None:
            raise NotFound(f'{what}: plugin "{name}" not found')
        try:
            return await self._adapted(await self._plugins.find(name, _SUBSYSTEM))
        except MobyError as error:
            raise type(error)(f"{what}: {error.message}") from error

    async def plugged(self) -> Sequence[PluginVolumes]:
        """The plugins that keep volumes and answer at once; none that has the name of one of ours."""
        found = await self._plugins.all(_SUBSYSTEM) if self._plugins is not None else ()
        return [await self._adapted(plugin) for plugin in found if plugin.name not in self.own]

    async def _adapted(self, plugin: Plugin) -> PluginVolumes:
        known = self._plugged.get(plugin.name)
        if known is None or known.plugin is not plugin:
            known = self._plugged[plugin.name] = await PluginVolumes.of(plugin)
        return known
