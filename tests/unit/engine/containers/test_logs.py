"""Which driver keeps a container's log, and what reads it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotImplemented
from moby.core.logs import LogDriver
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.core.types.host_config import LogConfig
from moby.engine.config import EngineConfig
from moby.engine.containers.logs import LogDrivers
from moby.engine.containers.plugin_logs import PluginLogs
from moby.engine.containers.record import Record
from moby.logs.drivers.gelf import Gelf
from moby.logs.drivers.json_file import JsonFile
from moby.logs.drivers.none import NoLog
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins


@pytest.fixture
def drivers(tmp_path: Path) -> LogDrivers:
    """One that reads back, one that does not, and none."""
    known: list[LogDriver] = [JsonFile(), Gelf(), NoLog()]
    plugged = PluginLogs(LegacyPlugins(Discovery(tmp_path / "plugins", []), 0), tmp_path / "logging")
    return LogDrivers({driver.name: driver for driver in known}, tmp_path, plugged)


def record(driver: str, **options: str) -> Record:
    """A container with this log."""
    config = {name.replace("_", "-"): value for name, value in options.items()}
    return Record(
        id="c" * 64,
        name="web",
        created="2023-11-14T22:13:20Z",
        config=ContainerConfig(image="busybox"),
        host_config=HostConfig(log_config=LogConfig(type=driver, config=config)),
        image="sha256:abc",
        chain="",
        platform="linux/amd64",
        path="echo",
        args=["hello"],
    )


async def test_a_cache_is_kept_beside_what_cannot_be_read(drivers: LogDrivers) -> None:
    assert await drivers.cached(record("gelf", gelf_address="udp://x:1"))
    assert not await drivers.cached(record("gelf", gelf_address="udp://x:1", cache_disabled="true"))
    assert not await drivers.cached(record("json-file"))
    assert not await drivers.cached(record("none"))


async def test_what_can_be_read(drivers: LogDrivers) -> None:
    assert await drivers.reader(record("json-file")) is not None
    assert await drivers.reader(record("gelf")) is not None
    for unread in (record("none"), record("gelf", cache_disabled="1")):
        with pytest.raises(NotImplemented, match="configured logging driver does not support reading"):
            await drivers.reader(unread)


async def test_what_a_driver_is_told(drivers: LogDrivers, tmp_path: Path) -> None:
    info = drivers.info(record("gelf", tag="x"))
    assert (info.container_name, info.command, info.options) == ("web", "echo hello", {"tag": "x"})
    assert info.directory == str(tmp_path / ("c" * 64))


async def test_options_are_checked_but_for_no_log(drivers: LogDrivers) -> None:
    await drivers.check("none", {"nonsense": "1"})
    with pytest.raises(InvalidParameter, match="unknown log opt 'nonsense' for json-file log driver"):
        await drivers.check("json-file", {"nonsense": "1"})
    with pytest.raises(
        InvalidParameter, match='error looking up logging plugin logentries: plugin "logentries" not found'
    ):
        await drivers.check("logentries", {})


async def test_the_daemon_s_own_options_are_checked(drivers: LogDrivers) -> None:
    drivers.check_usual(EngineConfig(log_driver="json-file", log_opts={"max-size": "1m", "mode": "blocking"}))
    with pytest.raises(InvalidParameter) as refused:
        drivers.check_usual(EngineConfig(log_driver="gelf", log_opts={"tag": "x"}))
    assert refused.value.message == "failed to set log opts: gelf-address is a required parameter"
