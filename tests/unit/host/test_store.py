"""State in SQLite: durable, shared commits, refusals."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from pathlib import Path

import msgspec
import pytest

from moby.core.errors import Conflict, DataLoss, InvalidParameter, System
from moby.core.store import Table
from moby.host.store import SqliteStore


class Thing(msgspec.Struct):
    """Something to keep."""

    size: int


async def test_what_is_saved_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "below" / "state.db"
    async with SqliteStore(path) as store:
        await store.save("things", "a", b'{"size":1}')
        await store.save("things", "a", b'{"size":2}')
        await store.save("things", "b", b'{"size":3}')
        await store.save("things", "ü/\U0001f40b", b'{"size":4}')
        await store.delete("things", "b")
        await store.delete("things", "never")
    async with SqliteStore(path) as store:
        assert await store.load("things") == {"a": b'{"size":2}', "ü/\U0001f40b": b'{"size":4}'}
        assert await store.load("others") == {}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_another_sees_a_write_as_soon_as_it_is_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore(path) as store:
        await store.save("things", "a", b"{}")
        other = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        assert other.execute("SELECT key FROM things").fetchall() == [("a",)]
        assert other.execute("PRAGMA user_version").fetchone() == (1,)
        other.close()


async def test_writers_at_the_same_time_share_a_commit(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "state.db") as store:
        await store.save("things", "first", b"{}")
        commits: list[int] = []
        commit = store._commit
        store._commit = lambda jobs: (commits.append(len(jobs)), commit(jobs))[1]  # type: ignore[method-assign, func-returns-value]
        async with asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(store.save("things", str(number), b"{}"))
        assert sum(commits) == 500
        assert len(commits) < 250
        assert len(await store.load("things")) == 501


async def test_two_daemons_on_one_state_are_refused(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "state.db"):
        with pytest.raises(Conflict, match=r"state .*state\.db is in use by another daemon \(process \d+\)"):
            async with SqliteStore(tmp_path / "state.db"):
                pass
    async with SqliteStore(tmp_path / "state.db"):
        pass


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to have had a header" * 50, b"\0" * 5000]
)
async def test_a_corrupt_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(DataLoss, match=r"cannot read state .*state\.db"):
        async with SqliteStore(path):
            pass
    path.unlink()
    async with SqliteStore(path) as store:
        assert await store.load("things") == {}


async def test_a_torn_page_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore(path) as store:
        for number in range(200):
            await store.save("things", f"{number:04}", b"{" + b" " * 500 + b"}")
    data = bytearray(path.read_bytes())
    data[8192:40960] = b"\xff" * (40960 - 8192)
    path.write_bytes(data)
    async with SqliteStore(path) as store:
        with pytest.raises(DataLoss, match=r"cannot read state .*state\.db"):
            await store.load("things")


async def test_a_newer_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore(path) as store:
        await store.save("things", "a", b"{}")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(System, match=r"written by a newer version \(it has 99, we know 1\)"):
        async with SqliteStore(path):
            pass
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()


async def test_an_older_state_is_migrated_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore(path) as store:
        await store.save("things", "a", b"1")

    def double(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE things SET document = document || document")

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("no such statement")

    with pytest.raises(DataLoss):
        async with SqliteStore(path, (double, fail)):
            pass
    for _ in range(2):
        async with SqliteStore(path, (double,)) as store:
            assert await store.load("things") == {"a": b"11"}


async def test_a_failed_write_is_told_and_the_next_one_works(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "state.db") as store:
        await store.save("things", "a", b"{}")
        assert store._connection is not None
        store._connection.execute("PRAGMA max_page_count=4")
        with pytest.raises(System, match=r"cannot write state .*full"):
            await store.save("things", "b", b"x" * 100_000)
        store._connection.execute("PRAGMA max_page_count=100000")
        await store.save("things", "c", b"{}")
        await store.save("more", "c", b"{}")
        assert sorted(await store.load("things")) == ["a", "c"]


async def test_a_cancelled_save_is_old_or_new(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "state.db") as store, asyncio.TaskGroup() as group:
        await store.save("things", "a", b"old")
        task = group.create_task(store.save("things", "a", b"new"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await store.load("things") == {"a": b"new"}


@pytest.mark.parametrize("name", ["", "Things", "a b", "a;drop", "1a", "x" * 50])
async def test_table_names_are_checked(tmp_path: Path, name: str) -> None:
    async with SqliteStore(tmp_path / "state.db") as store:
        with pytest.raises(InvalidParameter, match="bad table name"):
            await store.save(name, "a", b"{}")


async def test_a_key_that_is_no_text_is_refused(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "state.db") as store:
        with pytest.raises(InvalidParameter, match="bad key"):
            await store.save("things", "a\udc80", b"{}")
        await store.save("things", "a", b"{}")


async def test_a_closed_store_takes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    async with store:
        await store.save("things", "a", b"{}")
    with pytest.raises(System, match="closed"):
        await store.save("things", "b", b"{}")
    assert not [thread for thread in threading.enumerate() if thread.name == "store"]


async def test_a_record_that_does_not_decode_is_named(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "state.db") as store:
        table = Table(store, "things", Thing)
        await table.save("a", Thing(3))
        assert await table.load() == {"a": Thing(3)}
        await store.save("things", "b", b'{"size":"big"}')
        with pytest.raises(DataLoss, match="stored things record b is corrupt"):
            await table.load()
