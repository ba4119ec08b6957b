"""This file is about exec instances: what is stored of one, the living one, and where they are found."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from moby.core.errors import Conflict, InvalidParameter, NotFound
from moby.core.runtime import Processes
from moby.core.types.execs import ExecCreateRequest
from moby.engine.containers.container import Container
from moby.engine.containers.index import Index
from moby.host.threads import blocking
from moby.monitor.client import AttachEnd, Monitor

log = logging.getLogger(__name__)

_FILE = "exec.json"


class ExecRecord(msgspec.Struct):
    """An instance as it is stored. It goes with its container's run, so that it is never synced to a disk."""

    id: str
    container: str
    request: ExecCreateRequest
    running: bool = False
    pid: int = 0
    exit_code: int | None = None


class Exec:
    """One instance.

    `lock` is held while it is started and while its end is written down; `ended` is set when its exit code
    is known, or when it is known that it never ran.
    """

    def __init__(self, record: ExecRecord, container: Container) -> None:
        self.record = record
        self.container = container
        self.lock = asyncio.Lock()
        self.ended = asyncio.Event()
        self.started = asyncio.Event()
        self.monitor: Monitor | None = None
        self.attached: asyncio.Future[AttachEnd] | None = None
        self.can_remove = False
        if record.exit_code is not None:
            self.ended.set()

    @property
    def id(self) -> str:
        """The full name."""
        return self.record.id

    @property
    def delivered(self) -> bool:
        """Has its client had all its output? Then it has ended, or is about to."""
        attached = self.attached
        if attached is not None and attached.done() and not attached.cancelled():
            return attached.result() is AttachEnd.FINISHED
        return self.monitor is not None and (self.monitor.gone or self.monitor.delivered)

    @property
    def words(self) -> str:
        """The command as events tell it, in dockerd's way: with a space after its first word."""
        first, *others = self.record.request.cmd
        return f"{first} {' '.join(others)}"


class ExecShelf:
    """Every instance there is, each in a directory of its own below its container's run directory."""

    def __init__(self, index: Index, run_directory: Path) -> None:
        self._index = index
        self._run_directory = run_directory
        self._execs: dict[str, Exec] = {}

    def __iter__(self) -> Iterator[Exec]:
        return iter(tuple(self._execs.values()))

    def directory(self, record: ExecRecord) -> Path:
        """Where its record and its FIFOs are."""
        return self._run_directory / record.container / "execs" / record.id

    def find(self, name: str) -> Exec:
        """Raises NotFound, also for one whose container is gone."""
        found = self._execs.get(name)
        if found is None or self._index.get(found.record.container) is None:
            raise NotFound(f"No such exec instance: {name}")
        return found

    def of(self, container: str) -> list[Exec]:
        """Those of a container."""
        return [one for one in self._execs.values() if one.record.container == container]

    def running(self, container: str) -> list[str]:
        """The names of those of a container that have not ended, as `docker inspect` shows them."""
        return [one.id for one in self.of(container) if one.record.running or one.record.exit_code is None]

    async def add(self, exec_: Exec) -> None:
        """Take a new one in."""
        self._execs[exec_.id] = exec_
        await self.save(exec_)

    async def save(self, exec_: Exec) -> None:
        """Write it down: it survives this process, not the machine."""
        try:
            await blocking(self._write, exec_.record)
        except FileNotFoundError:
            # Its container is being removed, and this with it.
            log.debug("an exec instance is gone", extra={"exec": exec_.id})

    def _write(self, record: ExecRecord) -> None:
        directory = self.directory(record)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = directory / f"{_FILE}.new"
        new.write_bytes(msgspec.json.encode(record))
        new.replace(directory / _FILE)

    async def forget_all(self, container: str) -> None:
        """The container is gone, and what its runs left with it."""
        for exec_ in self.of(container):
            del self._execs[exec_.id]
        await blocking(shutil.rmtree, self._run_directory / container, ignore_errors=True)

    async def forget(self, exec_: Exec) -> None:
        """It is not to be found any more."""
        self._execs.pop(exec_.id, None)
        await blocking(shutil.rmtree, self.directory(exec_.record), ignore_errors=True)

    async def load(self) -> None:
        """Take back what an earlier daemon left."""
        for record in await blocking(self._read):
            container = self._index.get(record.container)
            if container is not None:
                self._execs[record.id] = Exec(record, container)

    def _read(self) -> list[ExecRecord]:
        found = []
        for path in self._run_directory.glob(f"*/execs/*/{_FILE}"):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=ExecRecord))
            except (OSError, msgspec.MsgspecError) as error:
                log.warning("cannot read an exec instance", extra={"path": str(path), "error": str(error)})
        return found


def connect(found: Exec, monitor: Monitor, processes: Processes) -> None:
    """Have the end of its clients' input reach an instance that runs."""
    record = found.record
    found.monitor = monitor
    monitor.stdin_closed = lambda: processes.close_stdin(record.container, record.id)


def check_running(container: Container, name: str) -> None:
    """Raises Conflict, in dockerd's words, for a container in which nothing can be run now."""
    state = container.record.state
    if not state.running:
        raise Conflict(f"container {container.id} is not running")
    if state.paused:
        raise Conflict(f"Container {name} is paused, unpause the container before exec")
    if state.restarting:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")


def check_command(request: ExecCreateRequest) -> None:
    """Raises InvalidParameter without a command."""
    if not request.cmd:
        raise InvalidParameter("No exec command specified")
