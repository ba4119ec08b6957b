"""Plugins found, activated and kept; those that are absent, die, or cannot do what they are wanted for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moby.core.errors import NotFound, System
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins
from tests.sample_plugins import Sample, Server, volumes


@pytest.fixture
async def plugins(tmp_path: Path) -> AsyncIterator[LegacyPlugins]:
    """All plugins below a directory of the test's own; none is waited for."""
    async with LegacyPlugins(Discovery(tmp_path, []), 0) as made:
        yield made


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    """A plugin for volumes, named `sample`."""
    sample = volumes(tmp_path / "state")
    with Server(tmp_path / "sample.sock", sample):
        yield sample


def activations(sample: Sample) -> int:
    """How often it was asked what it implements."""
    return (sample.state / "calls.jsonl").read_text().count("Plugin.Activate")


async def test_it_is_activated_once(plugins: LegacyPlugins, sample: Sample) -> None:
    assert plugins.active("VolumeDriver") == []
    found = await asyncio.gather(*(plugins.find("sample", "VolumeDriver") for _ in range(8)))
    assert {plugin.name for plugin in found} == {"sample"}
    assert activations(sample) == 1
    assert plugins.active("VolumeDriver") == ["sample"]
    assert plugins.active("LogDriver") == []


async def test_one_that_is_not_there_is_said(plugins: LegacyPlugins) -> None:
    with pytest.raises(NotFound) as error:
        await plugins.find("absent", "VolumeDriver")
    assert error.value.message == 'plugin "absent" not found'


async def test_one_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    async with LegacyPlugins(Discovery(tmp_path, []), 60) as plugins, asyncio.TaskGroup() as group:
        finding = group.create_task(plugins.find("sample", "VolumeDriver"))
        await asyncio.sleep(0)
        with Server(tmp_path / "sample.sock", volumes(tmp_path / "state")):
            assert (await finding).name == "sample"


async def test_it_must_be_able_to(plugins: LegacyPlugins, sample: Sample) -> None:
    with pytest.raises(System) as error:
        await plugins.find("sample", "LogDriver")
    assert error.value.message == (
        "legacy plugin: Plugin does not implement the requested driver: "
        'plugin="sample", requested implementation="LogDriver"'
    )


async def test_a_socket_without_a_listener_is_an_error_and_no_hindrance(
    plugins: LegacyPlugins, sample: Sample, tmp_path: Path
) -> None:
    with Server(tmp_path / "gone.sock", sample):
        pass
    Server(tmp_path / "dead.sock", sample).server_close()
    with pytest.raises(System) as error:
        await plugins.find("dead", "VolumeDriver")
    assert error.value.message == (
        'legacy plugin: Post "http://plugin.moby.localhost/Plugin.Activate": '
        f"dial unix {tmp_path}/dead.sock: connect: connection refused"
    )
    assert [plugin.name for plugin in await plugins.all("VolumeDriver")] == ["sample"]


async def test_one_that_has_moved_is_another(plugins: LegacyPlugins, sample: Sample, tmp_path: Path) -> None:
    first = await plugins.find("sample", "VolumeDriver")
    (tmp_path / "sample.sock").unlink()
    assert await plugins.find("sample", "VolumeDriver") is first
    with Server(tmp_path / "sample/sample.sock", sample):
        assert await plugins.find("sample", "VolumeDriver") is not first
