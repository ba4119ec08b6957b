"""Volumes of a plugin: what every volume driver does, and what a plugin may do to us."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from moby.core.errors import MobyError, NotFound, System
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins
from moby.testing.volumes import VolumeDriverSuite
from moby.volumes.drivers.plugin import PluginVolumes
from tests.sample_plugins import Sample, Server, volumes


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    """A plugin that serves as `sample`."""
    made = volumes(tmp_path / "state")
    with Server(tmp_path / "sample.sock", made):
        yield made


@pytest.fixture
async def driver(sample: Sample, tmp_path: Path) -> AsyncIterator[PluginVolumes]:
    """Its driver."""
    async with LegacyPlugins(Discovery(tmp_path, []), 0) as plugins:
        yield await PluginVolumes.of(await plugins.find("sample", "VolumeDriver"))


def feel(sample: Sample, **moods: str) -> None:
    """Have methods of the plugin go wrong."""
    told = {f"VolumeDriver.{method}": mood for method, mood in moods.items()}
    (sample.state / "mood.json").write_text(json.dumps(told))


def answer(sample: Sample, method: str, **fields: object) -> None:
    """Have a method of the plugin say this."""
    sample.methods[f"VolumeDriver.{method}"] = lambda _: fields


class TestPluginVolumes(VolumeDriverSuite):
    """A plugin's refusals are words, and mean nothing to us."""

    refused: ClassVar[type[MobyError]] = System
    in_use: ClassVar[type[MobyError]] = System


async def test_what_it_tells_is_kept(driver: PluginVolumes) -> None:
    made = await driver.create("data", {"a": "b"})
    assert driver.scope == "global"
    assert made.created_at == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert made.status == {"Opts": {"a": "b"}, "Users": []}


async def test_users_are_counted_by_the_plugin(driver: PluginVolumes) -> None:
    await driver.create("data", {})
    await driver.mount("data", "one")
    await driver.mount("data", "two")
    await driver.restore("data", "one")
    await driver.unmount("data", "two")
    assert (await driver.get("data")).status["Users"] == ["one"]


@pytest.mark.parametrize("mood", ["die", "garbage", "refuse"])
async def test_a_plugin_that_is_ill_is_not_one_without_the_volume(
    driver: PluginVolumes, sample: Sample, mood: str
) -> None:
    await driver.create("data", {})
    feel(sample, Get=mood)
    with pytest.raises(System):
        await driver.get("data")


async def test_no_volume_and_no_error_is_no_volume(driver: PluginVolumes, sample: Sample) -> None:
    answer(sample, "Get", Volume=None)
    with pytest.raises(NotFound):
        await driver.get("data")


async def test_a_volume_without_a_place_is_asked_for_its_place(driver: PluginVolumes, sample: Sample) -> None:
    await driver.create("data", {})
    answer(sample, "Get", Volume={"Name": "data"})
    assert (await driver.get("data")).mountpoint == sample.state / "data/data"
    answer(sample, "Path", Err="not mounted")
    assert (await driver.get("data")).mountpoint == Path()


@pytest.mark.parametrize("place", ["", "relative", "/nothing/here"])
async def test_a_place_that_is_none_is_given_back(driver: PluginVolumes, sample: Sample, place: str) -> None:
    await driver.create("data", {})
    answer(sample, "Mount", Mountpoint=place)
    with pytest.raises(System, match=r"error while mounting volume '/.*': '.*', where driver sample"):
        await driver.mount("data", "one")
    assert "VolumeDriver.Unmount" in (sample.state / "calls.jsonl").read_text()


async def test_a_mount_that_fails_says_why(driver: PluginVolumes, sample: Sample) -> None:
    await driver.create("data", {})
    feel(sample, Mount="refuse")
    with pytest.raises(System) as error:
        await driver.mount("data", "one")
    place = sample.state / "data/data"
    assert error.value.message == f"error while mounting volume '{place}': VolumeDriver.Mount: not today"


@pytest.mark.parametrize(("told", "scope"), [
    ({"Capabilities": {"Scope": "Global"}}, "global"), ({"Capabilities": {"Scope": "universe"}}, "local"),
    ({"Capabilities": {}}, "local"), ({"Err": "what?"}, "local"),
])  # fmt: skip
async def test_its_scope_is_local_unless_it_says_otherwise(
    driver: PluginVolumes, sample: Sample, told: dict[str, object], scope: str
) -> None:
    answer(sample, "Capabilities", **told)
    assert (await PluginVolumes.of(driver.plugin)).scope == scope
