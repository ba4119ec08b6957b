"""This file is about `docker logs`, and which driver keeps a container's log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from moby.core.errors import Conflict, InvalidParameter, NotImplemented
from moby.core.logs import TO_PLUGIN, LogDriver, LogEntry, LogInfo, LogQuery, LogReader
from moby.core.types.requests import LogsRequest
from moby.engine.config import EngineConfig
from moby.engine.containers.container import Container
from moby.engine.containers.plugin_logs import PluginLogs
from moby.engine.containers.record import Record
from moby.engine.containers.shelf import Shelf
from moby.host.files import translation
from moby.host.threads import finishing
from moby.logs import chain
from moby.logs.drivers.plugin import PluginLog
from moby.logs.framing import frames, json_lines
from moby.logs.local_reading import cache_reader
from moby.logs.rotation import remove_files

_NONE = "none"
_ANY = PluginLog()


class LogDrivers:
    """The log drivers of this assembly, by name; a name that is none of theirs is a plugin's."""

    def __init__(self, drivers: Mapping[str, LogDriver], directory: Path, plugged: PluginLogs) -> None:
        self._drivers = drivers
        self._directory = directory
        self._plugged = plugged

    @property
    def names(self) -> list[str]:
        """Sorted."""
        return sorted(self._drivers)

    async def check(self, name: str, options: Mapping[str, str]) -> None:
        """Raises InvalidParameter for an unknown driver or option; without a log they do not matter."""
        if name != _NONE:
            chain.check(self._drivers.get(name, _ANY), options)
            if name not in self._drivers:
                await self._plugged.check(name)

    def check_usual(self, settings: EngineConfig) -> None:
        """The options that the daemon is given for every container. Raises InvalidParameter.

        A plugin may come up later than we do.
        """
        try:
            if settings.log_opts and settings.log_driver != _NONE:
                chain.check(self._drivers.get(settings.log_driver, _ANY), settings.log_opts)
        except InvalidParameter as error:
            raise InvalidParameter(f"failed to set log opts: {error.message}") from error

    def info(self, record: Record) -> LogInfo:
        """What a driver may know of a container."""
        config = record.config
        return LogInfo(
            container_id=record.id,
            container_name=record.name,
            directory=str(self._directory / record.id),
            image_id=record.image,
            image_name=config.image,
            command=" ".join([record.path, *record.args]),
            created=record.created,
            labels=config.labels or {},
            env=config.env or (),
            options=record.log_config.config or {},
            stream=str(self._plugged.path(record.id)) if self._is_plugin(record) else "",
        )

    def _is_plugin(self, record: Record) -> bool:
        return record.log_config.type not in self._drivers

    def written_by(self, record: Record) -> str:
        """The writer that its monitor opens."""
        return TO_PLUGIN if self._is_plugin(record) else record.log_config.type

    async def begin(self, record: Record) -> None:
        """A container is about to write. Raises System for a plugin that does not take its log."""
        if self._is_plugin(record):
            await self._plugged.begin(record, self.info(record))

    async def end(self, record: Record) -> None:
        """A container writes no more; no error if it never did. Raises System."""
        if self._is_plugin(record):
            await self._plugged.end(record)

    async def cached(self, record: Record) -> bool:
        """Is a local log kept beside what the driver does, since it cannot read back?"""
        settings = record.log_config
        if settings.type == _NONE or not chain.cache_wanted(settings.config or {}):
            return False
        if self._is_plugin(record):
            return not await self._plugged.reads(settings.type)
        return self._drivers[settings.type].reader(self.info(record)) is None

    async def reader(self, record: Record) -> LogReader:
        """Raises NotImplemented if nothing can be read back, System for a plugin that does not answer."""
        info = self.info(record)
        if self._is_plugin(record):
            if await self._plugged.reads(record.log_config.type):
                return await self._plugged.reader(record, info)
        elif (reader := self._drivers[record.log_config.type].reader(info)) is not None:
            return reader
        if await self.cached(record):
            return cache_reader(info)
        raise NotImplemented("configured logging driver does not support reading")

    async def empty(self, record: Record) -> None:
        """Forget what is kept. Raises NotImplemented if the driver cannot, OSError."""
        info = self.info(record)
        driver = self._drivers.get(record.log_config.type, _ANY)
        emptied = await finishing(driver.empty, info)
        if await self.cached(record):
            await finishing(remove_files, chain.cache_path(info))
        elif not emptied:
            raise NotImplemented("configured logging driver does not support emptying")


class LogService:
    """Reads logs back, framed as clients want them."""

    def __init__(self, shelf: Shelf, drivers: LogDrivers) -> None:
        self._shelf = shelf
        self._drivers = drivers

    async def logs(self, name: str, request: LogsRequest) -> tuple[bool, AsyncIterator[bytes]]:
        """Whether it has a terminal (then nothing is framed), and the log in chunks.

        Raises InvalidParameter if no stream is asked for, NotImplemented if the driver cannot read back.
        """
        container = self._shelf.find(name)
        if not (request.query.stdout or request.query.stderr):
            raise InvalidParameter("you must choose at least one stream")
        if container.removing or container.record.state.dead:
            raise Conflict("can not get logs from container which is dead or marked for removal")
        await self._drivers.reader(container.record)
        if request.json:
            shape = partial(json_lines, details=request.details, prefix=request.prefix)
            return False, self._read(container, request.query, shape)
        return bool(container.record.config.tty), self.framed(
            container, request.query, timestamps=request.timestamps, details=request.details
        )

    async def empty(self, name: str) -> None:
        """Forget a log, also while it is written. Raises NotFound, Conflict, NotImplemented."""
        container = self._shelf.find(name)
        async with container.lock:
            if container.removing or container.record.state.dead:
                raise Conflict("can not empty the log of a container which is dead or marked for removal")
            with translation("cannot empty the log"):
                await self._drivers.empty(container.record)

    def framed(
        self,
        container: Container,
        query: LogQuery,
        *,
        multiplexed: bool = True,
        timestamps: bool = False,
        details: bool = False,
    ) -> AsyncIterator[bytes]:
        """The log in chunks, as the client reads them from the wire."""
        multiplexed = multiplexed and not container.record.config.tty
        shape = partial(frames, multiplexed=multiplexed, timestamps=timestamps, details=details)
        return self._read(container, query, shape)

    async def _read(
        self, container: Container, query: LogQuery, shape: Callable[[Sequence[LogEntry]], bytes]
    ) -> AsyncIterator[bytes]:
        reader = await self._drivers.reader(container.record)
        running = container.record.state.running
        follow = query.follow and running
        if follow:
            stopped = container.waiter("not-running")
            stopped.add_done_callback(lambda _: reader.finished())
        else:
            reader.finished()
        async for chunk in reader.read(query, shape):
            yield chunk
