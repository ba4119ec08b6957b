"""Plugins that keep containers' logs: told of begin and end, whatever happens in between."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, System
from moby.core.logs import LogInfo
from moby.engine.containers.plugin_logs import PluginLogs
from moby.engine.containers.record import Record
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins
from tests.sample_plugins import Sample, Server, logs
from tests.unit.engine.containers.test_logs import record

INFO = LogInfo("c" * 64, "web", "")


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    """A plugin that serves as `sample`."""
    made = logs(tmp_path / "state")
    with Server(tmp_path / "sample.sock", made):
        yield made


@pytest.fixture
async def plugged(sample: Sample, tmp_path: Path) -> AsyncIterator[PluginLogs]:
    """Logs of plugins."""
    async with LegacyPlugins(Discovery(tmp_path, []), 0) as plugins:
        yield PluginLogs(plugins, tmp_path / "logging")


def asked(sample: Sample, method: str) -> list[dict[str, str]]:
    """What the plugin was asked."""
    lines = map(json.loads, (sample.state / "calls.jsonl").read_text().splitlines())
    return [line["request"] for line in lines if line["method"] == f"LogDriver.{method}"]


async def test_a_log_begins_and_ends(plugged: PluginLogs, sample: Sample) -> None:
    one: Record = record("sample", tag="x")
    await plugged.check("sample")
    await plugged.begin(one, INFO)
    path = plugged.path(one.id)
    assert stat.S_ISFIFO(path.stat().st_mode)
    (told,) = asked(sample, "StartLogging")
    assert told["File"] == str(path)
    assert (
        json.loads(json.dumps(told["Info"])) | {"ContainerName": "/web", "ContainerArgs": ["hello"]}
        == told["Info"]
    )
    await plugged.end(one)
    await plugged.end(one)
    assert asked(sample, "StopLogging") == [{"File": str(path)}]
    assert not path.exists()


async def test_one_that_does_not_take_it_leaves_nothing(plugged: PluginLogs, sample: Sample) -> None:
    one = record("sample")
    sample.methods["LogDriver.StartLogging"] = lambda _: {"Err": "no room"}
    with pytest.raises(System) as error:
        await plugged.begin(one, INFO)
    assert error.value.message == (
        "failed to create task for container: failed to initialize logging driver: error creating logger: no room"
    )
    assert not plugged.path(one.id).exists()


async def test_an_end_that_nobody_hears_is_one(plugged: PluginLogs, sample: Sample) -> None:
    one = record("sample")
    await plugged.begin(one, INFO)
    sample.methods["LogDriver.StopLogging"] = lambda _: {"Err": "what?"}
    with pytest.raises(System, match=r"what\?"):
        await plugged.end(one)
    assert not plugged.path(one.id).exists()


async def test_who_can_read_back_says_so(plugged: PluginLogs, sample: Sample) -> None:
    assert await plugged.reads("sample")
    (sample.state / "mute").touch()
    assert not await plugged.reads("sample")
    del sample.methods["LogDriver.Capabilities"]
    assert not await plugged.reads("sample")


async def test_one_that_is_not_there_is_named(plugged: PluginLogs) -> None:
    words = 'error looking up logging plugin absent: plugin "absent" not found'
    with pytest.raises(InvalidParameter, match=words):
        await plugged.check("absent")
    with pytest.raises(System, match=words):
        await plugged.reads("absent")
