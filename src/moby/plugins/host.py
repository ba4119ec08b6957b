"""This file is about all plugins there are: found when they are asked for, and activated once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Self
from weakref import WeakValueDictionary

from moby.core.errors import MobyError, NotFound, System
from moby.core.plugins import LIMIT_S, Plugin, Plugins, Subsystem
from moby.plugins.client import PluginClient
from moby.plugins.discovery import Discovery

log = logging.getLogger(__name__)

PATIENCE_S = 15.0
_LISTING_LIMIT_S = 5.0
_LOOK_EVERY_S = 0.1


class LegacyPlugins(Plugins):
    """Plugins that others run, by their sockets and by files that say where they are.

    An async context manager: leaving frees the connections; the plugins are not ours to end. `patience_s` is
    how long one that is not there, or does not listen, is waited for: plugins come up with the host, as the
    containers do that need them.
    """

    def __init__(self, discovery: Discovery, patience_s: float = PATIENCE_S) -> None:
        self._discovery = discovery
        self._patience_s = patience_s
        self._known: dict[str, PluginClient] = {}
        self._tried: dict[str, PluginClient] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for plugin in self._known.values():
            await plugin.close()

    async def find(self, name: str, subsystem: Subsystem) -> Plugin:
        """See `Plugins.find`."""
        try:
            plugin = await self._active(name, patient=True)
        except MobyError as error:
            raise System(f"legacy plugin: {error.message}") from error
        if plugin is None:
            raise NotFound(f'plugin "{name}" not found')
        if subsystem not in plugin.implements:
            raise System(
                "legacy plugin: Plugin does not implement the requested driver: "
                f'plugin="{name}", requested implementation="{subsystem}"'
            )
        return plugin

    async def all(self, subsystem: Subsystem) -> Sequence[Plugin]:
        """See `Plugins.all`."""
        found: list[PluginClient] = []

        async def look(name: str) -> None:
            try:
                plugin = await self._active(name, patient=False)
            except MobyError as error:
                log.warning("a plugin does not answer", extra={"plugin": name, "error": error.message})
                return
            if plugin is not None and subsystem in plugin.implements:
                found.append(plugin)

        async with asyncio.TaskGroup() as group:
            for name in self._discovery.names():
                group.create_task(look(name))
        return sorted(found, key=lambda plugin: plugin.name)

    def present(self, name: str) -> bool:
        """See `Plugins.present`."""
        try:
            return self._discovery.find(name) is not None
        except MobyError:
            return False

    def active(self, subsystem: Subsystem) -> Sequence[str]:
        """See `Plugins.active`."""
        return sorted(name for name, plugin in self._known.items() if subsystem in plugin.implements)

    async def _active(self, name: str, *, patient: bool) -> PluginClient | None:
        known = self._known.get(name)
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        if known is not None and not lock.locked() and self._is_where_it_was(known):
            return known
        async with lock:
            return await self._activated(name, patient=patient)

    def _is_where_it_was(self, known: PluginClient) -> bool:
        """One that is gone may come back; one that has moved is another."""
        found = self._discovery.find(known.name)
        return found is None or found == known.found

    async def _activated(self, name: str, *, patient: bool) -> PluginClient | None:
        known = self._known.get(name)
        if known is not None and self._is_where_it_was(known):
            return known
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._patience_s if patient and name and "/" not in name else 0)
        while (found := self._discovery.find(name)) is None:
            if loop.time() + _LOOK_EVERY_S > deadline:
                return None
            await asyncio.sleep(_LOOK_EVERY_S)
        plugin = self._tried.get(name)
        if plugin is None or plugin.found != found:
            # Kept until it is activated: it knows that it was waited for in vain.
            plugin = self._tried[name] = PluginClient(found, self._patience_s)
        try:
            await plugin.activate(limit_s=LIMIT_S if patient else _LISTING_LIMIT_S, patient=patient)
        except BaseException:
            await plugin.close()
            raise
        del self._tried[name]
        log.info("plugin activated", extra={"plugin": name, "implements": ",".join(plugin.implements)})
        if known is not None:
            await known.close()
        self._known[name] = plugin
        return plugin
