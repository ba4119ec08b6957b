"""Volumes that a plugin keeps, through the docker command; and plugins that are absent, hang, lie or die."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.engine import Engine
from tests.sample_plugins import Process


@pytest.fixture
def plugin(engine: Engine, tmp_path: Path) -> Iterator[Process]:
    """A plugin named `sample`, in a process of its own."""
    with Process("volumes", engine.plugins / "sample.sock", tmp_path / "sample") as running:
        yield running
        running.feel()
        names = engine.ok("volume", "ls", "-q", "--filter", "driver=sample").split()
        engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
        if names:
            engine.ok("volume", "rm", *names)


def inspected(engine: Engine, name: str) -> dict[str, Any]:
    """A volume, as `docker volume inspect` shows it."""
    found: list[dict[str, Any]] = json.loads(engine.ok("volume", "inspect", name))
    return found[0]


def users(engine: Engine, name: str) -> list[str]:
    """Who has it mounted, as the plugin counts them."""
    counted: list[str] = inspected(engine, name)["Status"]["Users"]
    return counted


def test_a_volume_of_a_plugin(engine: Engine, plugin: Process) -> None:
    engine.ok("volume", "create", "-d", "sample", "-o", "colour=red", "--label", "a=b", "data")
    found = inspected(engine, "data")
    assert (found["Driver"], found["Scope"], found["Options"], found["Labels"]) == (
        "sample", "global", {"colour": "red"}, {"a": "b"},
    )  # fmt: skip
    assert found["Mountpoint"] == str(plugin.state / "data/data")
    assert found["Status"] == {"Opts": {"colour": "red"}, "Users": []}
    assert engine.ok("volume", "ls", "--format", "{{.Driver}} {{.Name}}") == "sample data"
    engine.ok("run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", "echo here > /data/file")
    assert (plugin.state / "data/data/file").read_text() == "here\n"
    assert users(engine, "data") == []
    assert "sample" in json.loads(engine.ok("info", "-f", "{{json .Plugins.Volume}}"))
    engine.ok("volume", "rm", "data")
    assert not (plugin.state / "data/data").exists()


@pytest.mark.parametrize("flags", [
    ("-v", "made:/data", "--volume-driver", "sample"),
    ("--mount", "type=volume,src=made,dst=/data,volume-driver=sample,volume-opt=colour=red"),
])  # fmt: skip
def test_a_container_makes_the_volumes_that_it_names(
    engine: Engine, plugin: Process, flags: tuple[str, ...]
) -> None:
    engine.ok("run", "-d", "--name", "user", *flags, "busybox", "sleep", "600")
    point = json.loads(engine.ok("inspect", "-f", "{{json .Mounts}}", "user"))[0]
    assert (point["Driver"], point["Name"], point["Source"]) == (
        "sample",
        "made",
        str(plugin.state / "data/made"),
    )
    assert len(users(engine, "made")) == 1
    assert "volume is in use" in engine.fails("volume", "rm", "made")
    engine.ok("rm", "-f", "user")
    assert users(engine, "made") == []


def test_volumes_that_it_made_itself_are_there(engine: Engine, plugin: Process) -> None:
    (plugin.state / "data/own").mkdir(parents=True)
    (plugin.state / "own.json").write_text(json.dumps({"opts": {}, "users": []}))
    assert engine.ok("volume", "ls", "-q") == "own"
    engine.ok("run", "--rm", "-v", "own:/data", "busybox", "touch", "/data/file")
    assert inspected(engine, "own")["Driver"] == "sample"


def test_a_plugin_described_by_a_file(engine: Engine, tmp_path: Path) -> None:
    if engine.kind == "dockerd":
        pytest.skip("dockerd's places are fixed")
    specs = engine.root / "specs"
    specs.mkdir(exist_ok=True)
    with Process("volumes", tmp_path / "elsewhere.sock", tmp_path / "state"):
        (specs / "described.json").write_text(
            json.dumps({"Name": "x", "Addr": f"unix://{tmp_path}/elsewhere.sock"})
        )
        engine.ok("volume", "create", "-d", "described", "data")
        engine.ok("volume", "rm", "data")
    (specs / "described.json").unlink()


def test_an_absent_plugin_is_named(engine: Engine) -> None:
    refused = engine.fails("volume", "create", "-d", "absent", "data")
    assert 'create data: error looking up volume plugin absent: plugin "absent" not found' in refused
    refused = engine.fails(
        "run", "--rm", "--volume-driver", "absent", "-v", "data:/data", "busybox", code=125
    )
    assert 'plugin "absent" not found' in refused
    assert engine.ok("volume", "ls", "-q") == ""


@pytest.mark.parametrize(("method", "mood", "words"), [
    ("VolumeDriver_Create", "refuse", "create data: VolumeDriver.Create: not today"),
    ("VolumeDriver_Create", "garbage", "create data: VolumeDriver.Create: error reading plugin resp: "),
    ("VolumeDriver_Create", "die", 'create data: Post "http://plugin.moby.localhost/VolumeDriver.Create": EOF'),
])  # fmt: skip
def test_a_plugin_that_is_ill_makes_no_volume(
    engine: Engine, plugin: Process, method: str, mood: str, words: str
) -> None:
    plugin.feel(**{method: mood})
    assert words in engine.fails("volume", "create", "-d", "sample", "data")
    assert engine.ok("volume", "ls", "-q") == ""


def test_a_mount_that_fails_starts_nothing(engine: Engine, plugin: Process) -> None:
    engine.ok(
        "create",
        "--name",
        "user",
        "--mount",
        "src=data,dst=/data,volume-driver=sample,volume-nocopy",
        "busybox",
    )
    plugin.feel(VolumeDriver_Mount="refuse")
    refused = engine.fails("start", "user")
    place = plugin.state / "data/data"
    assert f"error while mounting volume '{place}': VolumeDriver.Mount: not today" in refused
    plugin.feel()
    engine.ok("start", "user")
    engine.ok("rm", "-f", "user")
    assert users(engine, "data") == []


def test_a_plugin_that_hangs_holds_up_nobody_else(engine: Engine, plugin: Process) -> None:
    engine.ok("volume", "create", "mine")
    plugin.feel(VolumeDriver_Create="hang")
    with engine.spawn("volume", "create", "-d", "sample", "data"):
        engine.ok("run", "--rm", "-v", "mine:/data", "busybox", "true")
        assert engine.ok("volume", "ls", "-q") == "mine"


def test_of_a_dead_plugin_the_volumes_are_still_known(engine: Engine, plugin: Process) -> None:
    engine.ok("volume", "create", "-d", "sample", "data")
    plugin.stop()
    result = engine.docker("volume", "ls", "-q")
    assert (result.code, result.out) == (0, "data\n")
    assert "dial unix" in engine.fails("volume", "inspect", "data")
    assert "dial unix" in engine.fails("volume", "rm", "data")
    plugin.start()
    assert inspected(engine, "data")["Driver"] == "sample"


def test_a_plugin_that_starts_again_meanwhile(engine: Engine, plugin: Process) -> None:
    engine.ok("volume", "create", "-d", "sample", "data")
    engine.ok("run", "-d", "--name", "runs", "-v", "data:/data", "busybox", "sleep", "600")
    engine.ok("run", "-d", "--name", "stays", "-v", "data:/data", "busybox", "sleep", "600")
    plugin.stop()
    engine.ok("exec", "runs", "touch", "/data/file")
    # Nobody is kept because the plugin is away, and nobody new comes in.
    engine.ok("rm", "-f", "runs")
    assert "dial unix" in engine.fails("run", "--rm", "-v", "data:/data", "busybox", "true", code=125)
    plugin.start()
    engine.ok("run", "--rm", "-v", "data:/data", "busybox", "ls", "/data/file")
    assert "volume is in use" in engine.fails("volume", "rm", "data")
    engine.ok("rm", "-f", "stays")
    engine.ok("volume", "rm", "data")
    assert not (plugin.state / "data/data").exists()


def test_who_has_mounted_what_outlives_the_daemon(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    engine = make_engine()
    with Process("volumes", engine.plugins / "sample.sock", tmp_path / "state") as plugin:
        wanted = ("--volume-driver", "sample", "-v", "data:/data")
        for name in ("runs", "ends"):
            engine.ok("run", "-d", "--name", name, *wanted, "busybox", "sleep", "600")
        engine.kill()
        engine.start()
        assert len(users(engine, "data")) == 2
        engine.ok("kill", "ends")
        engine.ok("wait", "ends")
        engine.ok("rm", "ends")
        assert len(users(engine, "data")) == 1
        # Each container's: the image has nothing there to fill it with.
        assert len(plugin.calls("VolumeDriver.Mount")) == 2
        engine.ok("rm", "-f", "runs")
        assert users(engine, "data") == []
        engine.ok("volume", "rm", "data")
