"""This file is about containers whose logs go to a plugin: it is told of begin and end, and asked for it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from moby.core.errors import InvalidParameter, MobyError, System
from moby.core.logs import LogInfo
from moby.core.plugins import Plugin, Plugins, Subsystem
from moby.engine.containers.record import Record
from moby.logs.plugin_reading import PluginReader

log = logging.getLogger(__name__)

_SUBSYSTEM: Subsystem = "LogDriver"


class _Answer(msgspec.Struct, rename="pascal"):
    err: str = ""


class _Capability(msgspec.Struct, rename="pascal"):
    read_logs: bool = False


class _Capabilities(_Answer):
    cap: _Capability = msgspec.field(default_factory=_Capability)


class PluginLogs:
    """Logs that plugins keep.

    Life: `begin` makes a container's FIFO and tells the plugin to read it, before anything is written; the
    container's monitor writes there, also while we are away; `end` tells the plugin that it was all. The FIFO
    is there for as long as the plugin has not been told, so that this is done after a crash too.
    """

    def __init__(self, plugins: Plugins, directory: Path) -> None:
        self._plugins = plugins
        self._directory = directory
        self._held: dict[str, int] = {}

    async def check(self, name: str) -> None:
        """Is there such a plugin? Raises InvalidParameter."""
        try:
            await self._find(name)
        except MobyError as error:
            raise InvalidParameter(error.message) from error

    async def reads(self, name: str) -> bool:
        """Can the plugin read back? Raises System if it is not there; one that does not say cannot."""
        plugin = await self._find(name)
        try:
            told = await plugin.call("LogDriver.Capabilities", None, _Capabilities)
        except MobyError as error:
            log.debug("a plugin does not say what it can", extra={"plugin": name, "error": error.message})
            return False
        return told.cap.read_logs and not told.err

    async def reader(self, record: Record, info: LogInfo) -> PluginReader:
        """Reads it back. Raises System if the plugin is not there."""
        return PluginReader(await self._find(record.log_config.type), _told(record, info))

    def path(self, container: str) -> Path:
        """The container's FIFO."""
        return self._directory / container

    async def begin(self, record: Record, info: LogInfo) -> None:
        """Raises System if the plugin does not take the log."""
        plugin = await self._find(record.log_config.type)
        path = self.path(record.id)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o700)
        # Until the plugin has been told of the end, what it has not read yet must not be lost.
        self._held.setdefault(record.id, os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            await _ask(plugin, "StartLogging", File=str(path), Info=_told(record, info))
        except MobyError as error:
            self._forget(record.id)
            raise System(
                "failed to create task for container: failed to initialize logging driver: "
                f"error creating logger: {error.message}"
            ) from error

    async def end(self, record: Record) -> None:
        """Nothing more is written; no error if nothing was begun. Raises System if nobody listens."""
        path = self.path(record.id)
        if not path.exists():
            return
        try:
            plugin = await self._find(record.log_config.type)
            await _ask(plugin, "StopLogging", File=str(path))
        finally:
            self._forget(record.id)

    def _forget(self, container: str) -> None:
        if (held := self._held.pop(container, None)) is not None:
            os.close(held)
        self.path(container).unlink(missing_ok=True)

    async def _find(self, name: str) -> Plugin:
        try:
            return await self._plugins.find(name, _SUBSYSTEM)
        except MobyError as error:
            raise System(f"error looking up logging plugin {name}: {error.message}") from error


async def _ask(plugin: Plugin, method: str, **request: object) -> None:
    answer = await plugin.call(f"LogDriver.{method}", request, _Answer)
    if answer.err:
        raise System(answer.err)


def _told(record: Record, info: LogInfo) -> Mapping[str, Any]:
    """A container, as plugins are told of it."""
    return {
        "Config": dict(info.options),
        "ContainerID": record.id,
        "ContainerName": f"/{record.name}",
        "ContainerEntrypoint": record.path,
        "ContainerArgs": list(record.args),
        "ContainerImageID": record.image,
        "ContainerImageName": record.config.image,
        "ContainerCreated": record.created,
        "ContainerEnv": list(record.config.env or ()),
        "ContainerLabels": dict(record.config.labels or {}),
        "LogPath": "",
        "DaemonName": "docker",
    }
