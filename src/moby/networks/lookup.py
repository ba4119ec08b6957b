"""This file is about network drivers by name: those of the assembly, and plugins for all other names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moby.core.errors import NotFound
from moby.core.networks import NetworkDriver
from moby.core.plugins import Plugins, Subsystem
from moby.networks.drivers.remote import Remote

_SUBSYSTEM: Subsystem = "NetworkDriver"


class DriverLookup:
    """Finds drivers. A plugin's is made when it is first asked for, and anew when the plugin is another."""

    def __init__(self, own: Mapping[str, NetworkDriver], plugins: Plugins | None = None) -> None:
        self.own = own
        self._plugins = plugins
        self._plugged: dict[str, Remote] = {}

    def all(self) -> Sequence[NetworkDriver]:
        """Those of the assembly, and those of plugins that have been asked for."""
        return [*self.own.values(), *self._plugged.values()]

    async def find(self, name: str) -> NetworkDriver:
        """Raises NotFound if there is none, and System for a plugin that does not work."""
        if (own := self.own.get(name)) is not None:
            return own
        if self._plugins is None:
            raise NotFound(f'plugin "{name}" not found')
        plugin = await self._plugins.find(name, _SUBSYSTEM)
        known = self._plugged.get(name)
        if known is None or known.plugin is not plugin:
            known = self._plugged[name] = await Remote.of(plugin)
        return known
