"""Volume drivers by name, of the assembly and of plugins; and volumes that a plugin made of its own accord."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound
from moby.host.store import SqliteStore
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins
from moby.volumes.drivers.local import Local
from moby.volumes.lookup import DriverLookup
from moby.volumes.service import Volumes
from tests.sample_plugins import Sample, Server
from tests.sample_plugins import volumes as sample_volumes


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    """A plugin that serves as `sample`, and one that is dead."""
    made = sample_volumes(tmp_path / "state")
    Server(tmp_path / "dead.sock", made).server_close()
    with Server(tmp_path / "sample.sock", made):
        yield made


@pytest.fixture
async def plugins(sample: Sample, tmp_path: Path) -> AsyncIterator[LegacyPlugins]:
    """Those two."""
    async with LegacyPlugins(Discovery(tmp_path, []), 0) as made:
        yield made


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store on disk."""
    async with SqliteStore(tmp_path / "state.db") as store:
        yield store


@pytest.fixture
async def volumes(plugins: LegacyPlugins, store: SqliteStore, tmp_path: Path) -> Volumes:
    """Local ones and the plugin's."""
    made = Volumes({"local": Local(tmp_path / "volumes")}, store, plugins=plugins)
    await made.load()
    return made


async def test_ours_come_first(plugins: LegacyPlugins, tmp_path: Path) -> None:
    local = Local(tmp_path / "volumes")
    lookup = DriverLookup({"sample": local}, plugins)
    assert await lookup.find("sample") is local
    assert await lookup.plugged() == []


async def test_a_plugin_is_a_driver(plugins: LegacyPlugins) -> None:
    lookup = DriverLookup({}, plugins)
    assert lookup.names == []
    found = await lookup.find("sample")
    assert (found.name, found.scope) == ("sample", "global")
    assert await lookup.find("sample") is found
    assert await lookup.plugged() == [found]
    assert lookup.names == ["sample"]


@pytest.mark.parametrize(("name", "words"), [
    ("absent", 'error looking up volume plugin absent: plugin "absent" not found'),
    ("dead", 'error looking up volume plugin dead: legacy plugin: Post "http://plugin.moby.localhost/Plugin.Activate"'),
])  # fmt: skip
async def test_what_is_no_driver_is_said(plugins: LegacyPlugins, name: str, words: str) -> None:
    for lookup in (DriverLookup({}, plugins), DriverLookup({})):
        with pytest.raises(MobyError) as error:
            await lookup.find(name)
        if lookup.names or name == "absent":
            assert error.value.message.startswith(words)
    with pytest.raises(InvalidParameter):
        await DriverLookup({}).find("")


async def test_volumes_of_a_plugin_are_volumes(volumes: Volumes) -> None:
    made = await volumes.create("data", driver="sample", options={"a": "b"}, labels={"c": "d"})
    assert (made.driver, made.scope, made.options, made.labels) == (
        "sample",
        "global",
        {"a": "b"},
        {"c": "d"},
    )
    assert made.status["Opts"] == {"a": "b"}
    place = await volumes.mount("data", "one")
    assert place == made.mountpoint
    await volumes.restore("data", "one")
    await volumes.unmount("data", "one")
    assert volumes.drivers == ["local", "sample"]
    with pytest.raises(Conflict):
        await volumes.create("data", driver="local")
    await volumes.remove("data")
    assert await volumes.list() == []


async def test_who_has_mounted_what_is_known_after_a_restart(
    volumes: Volumes, sample: Sample, plugins: LegacyPlugins, store: SqliteStore
) -> None:
    await volumes.create("data", driver="sample")
    await volumes.mount("data", "one")
    await volumes.mount("data", "two")
    after = Volumes({}, store, plugins=plugins)
    await after.load()
    await after.mount("data", "one")
    await after.unmount("data", "two")
    await after.unmount("data", "two")
    await after.unmount("data", "three")
    assert (await after.get("data")).status["Users"] == ["one"]
    calls = (sample.state / "calls.jsonl").read_text()
    assert (calls.count("VolumeDriver.Mount"), calls.count("VolumeDriver.Unmount")) == (2, 1)


async def test_volumes_that_it_made_itself_are_found(volumes: Volumes, sample: Sample) -> None:
    for name in ("one", "two", "three"):
        sample.methods["VolumeDriver.Create"]({"Name": name})
    assert sorted(volume.name for volume in await volumes.list()) == ["one", "three", "two"]
    assert (await volumes.get("one")).driver == "sample"
    assert (await volumes.acquire("two", driver="", options={}, labels={}, user="c")).driver == "sample"
    removed = await volumes.remove("three")
    assert removed is not None
    assert sorted(volume.name for volume in await volumes.list()) == ["one", "two"]


async def test_many_who_name_one_find_the_same(volumes: Volumes, sample: Sample) -> None:
    sample.methods["VolumeDriver.Create"]({"Name": "one"})
    names = [f"user{number}" for number in range(8)]
    acquired = (volumes.acquire("one", driver="", options={}, labels={}, user=name) for name in names)
    await asyncio.gather(*acquired, *(volumes.get("one") for _ in range(8)))
    assert sorted((await volumes.get("one")).users) == names


async def test_an_anonymous_volume_is_no_plugin_s(volumes: Volumes, sample: Sample) -> None:
    assert (await volumes.create()).driver == "local"
    assert not (sample.state / "calls.jsonl").exists()


async def test_a_name_that_is_another_s_here_is_left_out(volumes: Volumes, sample: Sample) -> None:
    await volumes.create("data")
    sample.methods["VolumeDriver.Create"]({"Name": "data"})
    assert [volume.driver for volume in await volumes.list()] == ["local"]


async def test_volumes_of_an_absent_plugin_are_kept(volumes: Volumes, sample: Sample, tmp_path: Path) -> None:
    await volumes.create("data", driver="sample")
    (tmp_path / "sample.sock").rename(tmp_path / "elsewhere")
    found, _ = await volumes.survey()
    assert [(volume.name, volume.place) for volume in found] == [("data", "")]
    for doing in (volumes.get("data"), volumes.remove("data"), volumes.mount("data", "one")):
        with pytest.raises(MobyError) as error:
            await doing
        assert error.value.message.startswith(
            'get data: error while checking if volume "data" exists in driver "sample"'
        )
    with pytest.raises(Conflict) as conflict:
        await volumes.create("data", driver="sample")
    assert conflict.value.message.startswith(
        "create data: found reference to volume 'data' in driver 'sample', but got an error while checking the driver: "
    )
    (tmp_path / "elsewhere").rename(tmp_path / "sample.sock")
    assert (await volumes.get("data")).driver == "sample"


async def test_nobody_s_name_is_not_found(volumes: Volumes) -> None:
    with pytest.raises(NotFound, match="get nothing: no such volume"):
        await volumes.get("nothing")
    assert await volumes.remove("nothing", force=True) is None
