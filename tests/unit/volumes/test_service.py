"""All volumes of all drivers: names, users, what a crash leaves between driver and store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from moby.core.errors import Conflict, InvalidParameter, NotFound, System, Unavailable
from moby.core.volumes import DriverVolume
from moby.host.store import SqliteStore
from moby.volumes.drivers.local import Local
from moby.volumes.records import ANONYMOUS_LABEL
from moby.volumes.service import Volumes


class Other(Local):
    """One more driver."""

    name = "other"
    ill = False

    async def list(self) -> Sequence[DriverVolume]:
        if self.ill:
            raise Unavailable("the other side does not answer")
        return await super().list()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store on disk."""
    async with SqliteStore(tmp_path / "state.db") as store:
        yield store


@pytest.fixture
def drivers(tmp_path: Path) -> dict[str, Local]:
    """Two, with a directory each."""
    return {"local": Local(tmp_path / "local"), "other": Other(tmp_path / "other")}


@pytest.fixture
async def volumes(drivers: dict[str, Local], store: SqliteStore) -> Volumes:
    """With nothing in them."""
    made = Volumes(drivers, store)
    await made.load()
    return made


async def names(volumes: Volumes) -> list[str]:
    """Every volume's."""
    return sorted(volume.name for volume in await volumes.list())


async def test_a_volume_is_what_it_was_made_as(volumes: Volumes, tmp_path: Path) -> None:
    made = await volumes.create("data", driver="other", labels={"a": "b"})
    assert made == await volumes.get("data")
    assert (made.name, made.driver, made.scope, made.labels) == ("data", "other", "local", {"a": "b"})
    assert made.mountpoint == tmp_path / "other" / "data" / "_data"
    assert made.created.endswith("Z")
    assert not made.anonymous
    assert volumes.drivers == ["local", "other"]


async def test_made_again_it_is_the_same(volumes: Volumes) -> None:
    first = await volumes.create("data", labels={"a": "b"})
    assert await volumes.create("data", labels={"c": "d"}) == first
    assert await volumes.create("data", driver="local") == first
    with pytest.raises(Conflict) as error:
        await volumes.create("data", driver="other")
    assert error.value.message == (
        "create data: driver 'local' already has volume 'data': volume name must be unique"
    )


async def test_without_a_name_it_is_anonymous(volumes: Volumes) -> None:
    one, two = await volumes.create(), await volumes.create()
    assert one.name != two.name
    assert len(one.name) == 64
    assert one.anonymous
    assert one.labels == {ANONYMOUS_LABEL: ""}


async def test_what_cannot_be_made_says_what_was_tried(volumes: Volumes) -> None:
    with pytest.raises(InvalidParameter, match=r'^create data: invalid option: "x"'):
        await volumes.create("data", options={"x": "1"})
    with pytest.raises(InvalidParameter, match=r"^create a: volume name is too short"):
        await volumes.create("a")
    with pytest.raises(
        NotFound, match=r'^create data: error looking up volume plugin nfs: plugin "nfs" not found'
    ):
        await volumes.create("data", driver="nfs")
    assert await names(volumes) == []


async def test_what_is_used_stays(volumes: Volumes) -> None:
    await volumes.acquire("data", driver="", options={}, labels={}, user="one")
    await volumes.acquire("data", driver="local", options={}, labels={}, user="two")
    await volumes.acquire("data", driver="", options={}, labels={}, user="two")
    assert (await volumes.get("data")).users == ("one", "two")
    for force in (False, True):
        with pytest.raises(Conflict) as error:
            await volumes.remove("data", force=force)
        assert error.value.message == "remove data: volume is in use - [one, two]"
    await volumes.release("data", "one", remove=True)
    assert await names(volumes) == ["data"]
    await volumes.release("data", "two", remove=True)
    assert await names(volumes) == []
    await volumes.release("data", "two", remove=True)


async def test_what_is_mounted_stays(volumes: Volumes) -> None:
    await volumes.create("data")
    path = await volumes.mount("data", "one")
    (path / "file").write_text("12345")
    os.link(path / "file", path / "again")
    assert await volumes.size("data") == 5
    with pytest.raises(Conflict, match=r"^remove data: volume has active mounts"):
        await volumes.remove("data")
    await volumes.unmount("data", "one")
    await volumes.unmount("data", "one")
    await volumes.unmount("nothing", "one")
    removed = await volumes.remove("data")
    assert removed is not None
    assert removed.name == "data"


async def test_what_is_not_there(volumes: Volumes) -> None:
    for question in (volumes.get("no"), volumes.mount("no", "one"), volumes.remove("no"), volumes.size("no")):
        with pytest.raises(NotFound, match=r"^get no: no such volume$"):
            await question
    assert await volumes.remove("no", force=True) is None


async def test_everything_is_there_after_a_restart(
    volumes: Volumes, drivers: dict[str, Local], store: SqliteStore
) -> None:
    before = await volumes.create("data", labels={"a": "b"}, user="one")
    after = Volumes(drivers, store)
    await after.load()
    assert await after.get("data") == before
    assert (await after.get("data")).users == ("one",)
    await after.release("data", "one")
    await after.remove("data")


async def test_what_a_crash_left_is_made_to_agree(
    volumes: Volumes, drivers: dict[str, Local], store: SqliteStore
) -> None:
    await volumes.create("lost")
    await volumes.create("missed", user="one")
    for name in ("lost", "missed"):
        await drivers["local"].remove(name)
    await drivers["other"].create("found", {})
    after = Volumes(drivers, store)
    await after.load()
    assert await names(after) == ["found"]
    assert (await after.get("found")).driver == "other"
    with pytest.raises(NotFound):
        await after.get("lost")
    # A container wants it still: it is not made anew behind its back.
    with pytest.raises(Conflict, match="found references to volume 'missed' in driver 'local'"):
        await after.create("missed")
    await after.release("missed", "one")
    assert (await after.create("missed")).users == ()


async def test_of_a_driver_that_does_not_answer_is_told_what_is_known(
    volumes: Volumes, drivers: dict[str, Local], store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await volumes.create("mine")
    await volumes.create("theirs", driver="other")
    monkeypatch.setattr(Other, "ill", True)
    after = Volumes(drivers, store)
    await after.load()
    found, warnings = await after.survey()
    assert sorted((volume.name, volume.place != "") for volume in found) == [
        ("mine", True),
        ("theirs", False),
    ]
    assert list(warnings) == ["list other: the other side does not answer"]


async def test_what_its_driver_lost_can_be_removed(volumes: Volumes, drivers: dict[str, Local]) -> None:
    for name in ("one", "two"):
        await volumes.create(name)
        await drivers["local"].remove(name)
    with pytest.raises(NotFound):
        await volumes.remove("one")
    await volumes.remove("two", force=True)
    assert (await volumes.create("one")).name == "one"


async def test_a_driver_that_is_gone_is_named(volumes: Volumes, store: SqliteStore) -> None:
    await volumes.create("data", driver="other")
    after = Volumes({}, store)
    await after.load()
    with pytest.raises(NotFound, match='plugin "other" not found'):
        await after.get("data")
    assert await names(after) == ["data"]


async def test_many_at_once_are_one(volumes: Volumes) -> None:
    made = await asyncio.gather(*(volumes.create("data", user=f"user{n}") for n in range(20)))
    assert len({volume.created for volume in made}) == 1
    assert len((await volumes.get("data")).users) == 20
    await asyncio.gather(*(volumes.release("data", f"user{n}", remove=True) for n in range(20)))
    assert await names(volumes) == []


async def test_what_cannot_be_stored_is_not_made(
    volumes: Volumes, drivers: dict[str, Local], store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise System("disk is full")

    monkeypatch.setattr(store, "save", full)
    with pytest.raises(System, match="disk is full"):
        await volumes.create("data")
    assert await drivers["local"].list() == []
