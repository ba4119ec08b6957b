"""This file is about `docker logs`, and which driver keeps a container's log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from moby.core.errors import Conflict, InvalidParameter, NotImplemented
from moby.core.logs import LogDriver, LogEntry, LogInfo, LogQuery, LogReader
from moby.core.types.requests import LogsRequest
from moby.engine.config import EngineConfig
from moby.engine.containers.container import Container
from moby.engine.containers.record import Record
from moby.engine.containers.shelf import Shelf
from moby.host.files import translation
from moby.host.threads import finishing
from moby.logs import chain
from moby.logs.framing import frames, json_lines
from moby.logs.local_reading import cache_reader
from moby.logs.rotation import remove_files

_NONE = "none"


class LogDrivers:
    """The log drivers of this assembly, by name."""

    def __init__(self, drivers: Mapping[str, LogDriver], directory: Path) -> None:
        self._drivers = drivers
        self._directory = directory

    @property
    def names(self) -> list[str]:
        """Sorted."""
        return sorted(self._drivers)

    def check(self, name: str, options: Mapping[str, str]) -> None:
        """Raises InvalidParameter for an unknown driver or option; without a log they do not matter."""
        driver = self.find(name)
        if name != _NONE:
            chain.check(driver, options)

    def check_usual(self, settings: EngineConfig) -> None:
        """The options that the daemon is given for every container. Raises InvalidParameter."""
        try:
            if settings.log_opts:
                self.check(settings.log_driver, settings.log_opts)
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
        )

    def cached(self, record: Record) -> bool:
        """Is a local log kept beside what the driver does, since it cannot read back?"""
        settings = record.log_config
        if settings.type == _NONE or not chain.cache_wanted(settings.config or {}):
            return False
        return self.find(settings.type).reader(self.info(record)) is None

    def reader(self, record: Record) -> LogReader:
        """Raises NotImplemented if nothing can be read back."""
        info = self.info(record)
        if (reader := self.find(record.log_config.type).reader(info)) is not None:
            return reader
        if self.cached(record):
            return cache_reader(info)
        raise NotImplemented("configured logging driver does not support reading")

    def empty(self, record: Record) -> None:
        """Forget what is kept. Raises NotImplemented if the driver cannot, OSError."""
        info = self.info(record)
        emptied = self.find(record.log_config.type).empty(info)
        if self.cached(record):
            remove_files(chain.cache_path(info))
        elif not emptied:
            raise NotImplemented("configured logging driver does not support emptying")

    def find(self, name: str) -> LogDriver:
        """Raises InvalidParameter in dockerd's words."""
        driver = self._drivers.get(name)
        if driver is None:
            raise InvalidParameter(f"logger: no log driver named '{name}' is registered")
        return driver


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
        self._drivers.reader(container.record)
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
                await finishing(self._drivers.empty, container.record)

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
        reader = self._drivers.reader(container.record)
        running = container.record.state.running
        follow = query.follow and running
        if follow:
            stopped = container.waiter("not-running")
            stopped.add_done_callback(lambda _: reader.finished())
        else:
            reader.finished()
        async for chunk in reader.read(query, shape):
            yield chunk
