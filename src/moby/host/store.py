"""This file is about SQLite as the state store: one file, one writer thread, a commit shared by many."""

from __future__ import annotations

import asyncio
import queue
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from moby.core.errors import DataLoss, InvalidParameter, System
from moby.core.store import Store
from moby.host.files import LockFile
from moby.host.threads import blocking

_VERSION = 1
_TABLE = re.compile(r"[a-z][a-z_]{0,40}")

_Job = tuple[str, tuple[Any, ...], Callable[[BaseException | None], None]]


class SqliteStore(Store):
    """JSON documents in SQLite, one table a kind, in write-ahead mode and synced at every commit.

    Whatever is queued while a commit is under way shares the next one, so that many writers cost one sync.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = LockFile(path.with_name(f"{path.name}.lock"), f"state {path}")
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._tables: set[str] = set()

    async def __aenter__(self) -> Self:
        """Open. Raises Conflict if another daemon has it open, DataLoss if it cannot be read."""
        self._lock.acquire()
        try:
            await blocking(self._open)
        except BaseException:
            self._lock.release()
            raise
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await blocking(thread.join)
        if self._connection is not None:
            await blocking(self._connection.close)
        self._lock.release()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise DataLoss(f"state {self._path} was written by a newer version ({version} > {_VERSION})")
            connection.execute(f"PRAGMA user_version={_VERSION}")
            names = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        except sqlite3.Error as error:
            raise DataLoss(f"cannot read state {self._path}: {error}") from error
        self._tables = {name for (name,) in names}
        self._connection = connection
        self._path.chmod(0o600)

    async def save(self, table: str, key: str, document: bytes) -> None:
        """See `Store.save`."""
        self._check(table)
        await self._submit(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, document.decode()))  # noqa: S608

    async def delete(self, table: str, key: str) -> None:
        """See `Store.delete`."""
        self._check(table)
        await self._submit(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608

    async def load(self, table: str) -> Mapping[str, bytes]:
        """See `Store.load`."""
        self._check(table)
        await self._submit("", ())
        assert self._connection is not None
        try:
            rows = await blocking(
                lambda connection: connection.execute(f"SELECT key, document FROM {table}").fetchall(),  # noqa: S608
                self._connection,
            )
        except sqlite3.Error as error:
            raise DataLoss(f"cannot read state {self._path}: {error}") from error
        return {key: document.encode() for key, document in rows}

    def _check(self, table: str) -> None:
        if not _TABLE.fullmatch(table):
            raise InvalidParameter(f"bad table name: {table!r}")
        if table not in self._tables:
            self._tables.add(table)
            self._queue.put(
                (
                    f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, document TEXT) WITHOUT ROWID",
                    (),
                    _ignore,
                )
            )

    async def _submit(self, statement: str, values: tuple[Any, ...]) -> None:
        if self._thread is None:
            raise System("the state store is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finished(error: BaseException | None) -> None:
            loop.call_soon_threadsafe(_settle, done, error)

        self._queue.put((statement, values, finished))
        await asyncio.shield(done)

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
            self._commit(jobs)

    def _commit(self, jobs: list[_Job]) -> None:
        assert self._connection is not None
        failure: BaseException | None = None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement, values, _ in jobs:
                if statement:
                    self._connection.execute(statement, values)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            failure = System(f"cannot write state {self._path}: {error}")
            self._tables.clear()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        for _, _, finished in jobs:
            finished(failure)


def _ignore(_: BaseException | None) -> None:
    """A table that could not be made makes the write after it fail."""


def _settle(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
