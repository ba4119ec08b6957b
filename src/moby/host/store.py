"""This file is about SQLite as the state store: one file, one writer thread, a commit shared by many."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from moby.core.errors import DataLoss, InvalidParameter, System
from moby.core.store import Store
from moby.host.files import LockFile, sync_directory, translation
from moby.host.threads import finishing

log = logging.getLogger(__name__)

_TABLE = re.compile(r"[a-z][a-z_]{0,40}")

Migration = Callable[[sqlite3.Connection], None]

# The step at index N leads from version N + 1 to N + 2; a version is the number of steps plus one.
MIGRATIONS: tuple[Migration, ...] = ()

Rows = list[tuple[str, str]]


class _Job(msgspec.Struct):
    """One statement, and who waits for it; `rows` is what a query found."""

    statement: str
    values: tuple[Any, ...]
    settled: Callable[[_Job], None]
    query: bool = False
    rows: Rows | None = None
    failure: Exception | None = None


class SqliteStore(Store):
    """JSON documents in SQLite, one table a kind, in write-ahead mode and synced at every commit.

    Whatever is queued while a commit is under way shares the next one, so that many writers cost one sync.
    One thread has the connection: what is read is what has been committed.
    """

    def __init__(self, path: Path, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
        self._path = path
        self._migrations = migrations
        self._lock = LockFile(path.with_name(f"{path.name}.lock"), f"state {path}")
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._tables: set[str] = set()

    async def __aenter__(self) -> Self:
        """Open. Raises Conflict if another daemon has it open, DataLoss if it cannot be read."""
        with translation("cannot open state"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        try:
            await finishing(self._open)
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await finishing(self._end, thread)

    def _end(self, thread: threading.Thread) -> None:
        thread.join()
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    def _open(self) -> None:
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._connection = connection
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._migrate(connection)
            names = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        except sqlite3.Error as error:
            raise DataLoss(f"cannot read state {self._path}: {error}") from error
        self._tables = {name for (name,) in names}
        self._path.chmod(0o600)
        sync_directory(self._path.parent)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring an older state to our version, whole or not at all. Raises System for a newer one."""
        ours = len(self._migrations) + 1
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > ours:
            raise System(
                f"state {self._path} was written by a newer version (it has {version}, we know {ours})",
                hint="run the newer version, or give this one a data root of its own",
            )
        if version == ours:
            return
        connection.execute("BEGIN IMMEDIATE")
        for step in self._migrations[max(version, 1) - 1 :] if version else ():
            step(connection)
        connection.execute(f"PRAGMA user_version={ours}")
        connection.execute("COMMIT")

    async def save(self, table: str, key: str, document: bytes) -> None:
        """See `Store.save`."""
        self._check(table, key)
        await self._submit(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, document.decode()))  # noqa: S608

    async def delete(self, table: str, key: str) -> None:
        """See `Store.delete`."""
        self._check(table, key)
        await self._submit(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608

    async def load(self, table: str) -> Mapping[str, bytes]:
        """See `Store.load`."""
        self._check(table)
        rows = await self._submit(f"SELECT key, document FROM {table}", (), query=True)  # noqa: S608
        return {key: document.encode() for key, document in rows}

    def _check(self, table: str, key: str = "") -> None:
        if not _TABLE.fullmatch(table):
            raise InvalidParameter(f"bad table name: {table!r}")
        if not key.isascii() and key.encode(errors="replace").decode() != key:
            raise InvalidParameter(f"bad key: {key!r}")
        if table not in self._tables:
            self._tables.add(table)
            # One that could not be made makes the statement after it fail, and is tried again by the next.
            columns = "key TEXT PRIMARY KEY, document TEXT"
            self._queue.put(
                _Job(f"CREATE TABLE IF NOT EXISTS {table} ({columns}) WITHOUT ROWID", (), lambda _: None)
            )

    async def _submit(self, statement: str, values: tuple[Any, ...], *, query: bool = False) -> Rows:
        if self._thread is None:
            raise System("the state store is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Rows] = loop.create_future()

        def settled(job: _Job) -> None:
            loop.call_soon_threadsafe(_settle, done, job)

        self._queue.put(_Job(statement, values, settled, query))
        return await asyncio.shield(done)

    def _write(self) -> None:
        open_ = True
        while open_:
            jobs: list[_Job] = []
            job = self._queue.get()
            while True:
                if job is None:
                    open_ = False
                    break
                jobs.append(job)
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
            self._commit([job for job in jobs if not job.query])
            for job in jobs:
                if job.query:
                    self._read(job)
            for job in jobs:
                self._tell(job)

    def _commit(self, jobs: list[_Job]) -> None:
        connection = self._connection
        assert connection is not None
        if not jobs:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                connection.execute(job.statement, job.values)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread's last line: whoever waits is told
            self._tables.clear()
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            for job in jobs:
                job.failure = System(f"cannot write state {self._path}: {error}")
                job.failure.__cause__ = error

    def _read(self, job: _Job) -> None:
        assert self._connection is not None
        try:
            job.rows = self._connection.execute(job.statement, job.values).fetchall()
        except Exception as error:  # noqa: BLE001 - the thread's last line: whoever waits is told
            job.failure = DataLoss(f"cannot read state {self._path}: {error}")
            job.failure.__cause__ = error

    def _tell(self, job: _Job) -> None:
        try:
            job.settled(job)
        except RuntimeError:
            # The event loop that waited has been closed.
            log.warning("nobody waits for a write any more", extra={"state": str(self._path)})


def _settle(done: asyncio.Future[Rows], job: _Job) -> None:
    if done.cancelled():
        return
    if job.failure is None:
        done.set_result(job.rows or [])
    else:
        done.set_exception(job.failure)
