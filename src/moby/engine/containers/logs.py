"""This file is about `docker logs`, and which driver keeps a container's log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from moby.core.errors import Conflict, InvalidParameter, NotImplemented
from moby.core.logs import LogDriver, LogEntry, LogInfo, LogQuery, LogReader
from moby.core.types.requests import LogsRequest
from moby.engine.containers.container import Container
from moby.engine.containers.record import Record
from moby.engine.containers.shelf import Shelf
from moby.logs.framing import frames, json_lines


class LogDrivers:
    """The log drivers of this assembly, by name."""

    def __init__(self, drivers: Mapping[str, LogDriver]) -> None:
        self._drivers = drivers

    @property
    def names(self) -> list[str]:
        """Sorted."""
        return sorted(self._drivers)

    def check(self, name: str, options: Mapping[str, str]) -> None:
        """Raises InvalidParameter for an unknown driver or option."""
        self.find(name).check(options)

    def find(self, name: str) -> LogDriver:
        """Raises InvalidParameter in dockerd's words."""
        driver = self._drivers.get(name)
        if driver is None:
            raise InvalidParameter(f"logger: no log driver named '{name}' is registered")
        return driver


def log_info(record: Record, directory: Path) -> LogInfo:
    """What a driver may know of a container."""
    config = record.config
    return LogInfo(
        container_id=record.id,
        container_name=record.name,
        directory=str(directory / record.id),
        image_id=record.image,
        image_name=config.image,
        command=" ".join([record.path, *record.args]),
        created=record.created,
        labels=config.labels or {},
        env=config.env or (),
        options=record.host_config.log_config.config or {},
    )


class LogService:
    """Reads logs back, framed as clients want them."""

    def __init__(self, shelf: Shelf, drivers: LogDrivers, directory: Path) -> None:
        self._shelf = shelf
        self._drivers = drivers
        self._directory = directory

    async def logs(self, name: str, request: LogsRequest) -> tuple[bool, AsyncIterator[bytes]]:
        """Whether it has a terminal (then nothing is framed), and the log in chunks.

        Raises InvalidParameter if no stream is asked for, NotImplemented if the driver cannot read back.
        """
        container = self._shelf.find(name)
        if not (request.query.stdout or request.query.stderr):
            raise InvalidParameter("you must choose at least one stream")
        if container.removing or container.record.state.dead:
            raise Conflict("can not get logs from container which is dead or marked for removal")
        self._reader(container.record)
        if request.json:
            shape = partial(json_lines, details=request.details, prefix=request.prefix)
            return False, self._read(container, request.query, shape)
        return bool(container.record.config.tty), self.framed(
            container, request.query, timestamps=request.timestamps, details=request.details
        )

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
        reader = self._reader(container.record)
        running = container.record.state.running
        follow = query.follow and running
        if follow:
            stopped = container.waiter("not-running")
            stopped.add_done_callback(lambda _: reader.finished())
        else:
            reader.finished()
        async for chunk in reader.read(query, shape):
            yield chunk

    def _reader(self, record: Record) -> LogReader:
        driver = self._drivers.find(record.host_config.log_config.type)
        reader = driver.reader(log_info(record, self._directory))
        if reader is None:
            raise NotImplemented("configured logging driver does not support reading")
        return reader
