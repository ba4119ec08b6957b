"""A log driver and a volume driver of the user's own, from a separately installed package, named in an assembly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd has no assemblies")

ASSEMBLY = """\
engine:
  logs: [shouting, json-file]
  volumes: [local, drawer]
"""

PACKAGE = '''\
"""Drivers of somebody else."""

import os
import shutil
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.core.logs import LogDriver, LogWriter
from moby.core.volumes import DriverVolume, VolumeDriver


class Shouting(LogDriver):
    """Writes what is said, in capitals, to the file that an option names."""

    name = "shouting"

    def check(self, options):
        if unknown := set(options) - {"file"}:
            raise InvalidParameter(f"unknown log opt '{min(unknown)}' for shouting log driver")

    def writer(self, info):
        return ShoutingWriter(info.options["file"])

    def reader(self, info):
        return None


class ShoutingWriter(LogWriter):
    def __init__(self, path):
        self._file = open(path, "ab", buffering=0)

    def write(self, stream, data, time_ns):
        self._file.write(data.upper())

    def flush(self):
        pass

    def close(self):
        self._file.close()


class Drawer(VolumeDriver):
    """Keeps volumes in one directory."""

    name = "drawer"
    scope = "local"

    def __init__(self):
        self._root = Path(os.environ["DRAWER"])
        self._root.mkdir(exist_ok=True)

    async def create(self, name, options):
        (self._root / name).mkdir(exist_ok=True)
        return await self.get(name)

    async def get(self, name):
        if not (self._root / name).is_dir():
            raise NotFound(f"no such volume: {name}")
        return DriverVolume(name, self._root / name)

    async def mount(self, name, user):
        return (await self.get(name)).mountpoint

    async def unmount(self, name, user):
        pass

    async def remove(self, name):
        shutil.rmtree((await self.get(name)).mountpoint)

    async def list(self):
        return [DriverVolume(path.name, path) for path in self._root.iterdir()]
'''


def install(site: Path) -> None:
    """What pip leaves of a package."""
    (site / "theirs.py").write_text(PACKAGE)
    about = site / "theirs-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[moby.logs]\nshouting = theirs:Shouting\n[moby.volumes]\ndrawer = theirs:Drawer\n"
    )


def test_they_are_used_by_name(
    make_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(site)
    (tmp_path / "own.yml").write_text(ASSEMBLY)
    monkeypatch.setenv("DRAWER", str(tmp_path / "drawer"))
    engine = make_engine("--assembly", str(tmp_path / "own.yml"), packages=site)

    plugins = engine.ok("info", "-f", "{{.Plugins.Log}} {{.Plugins.Volume}}")
    assert plugins == "[json-file shouting] [drawer local]"
    options = ("--log-driver", "shouting", "--log-opt", f"file={tmp_path}/said")
    assert engine.ok("run", "--rm", *options, "busybox", "echo", "hello") == "hello"
    assert (tmp_path / "said").read_text() == "HELLO\n"
    engine.ok("run", "--name", "said", *options, "busybox", "echo", "again")
    assert engine.ok("logs", "said") == "again"
    uncached = ("--log-opt", "cache-disabled=true", "--log-opt", "mode=non-blocking")
    engine.ok("run", "--name", "gone", *options, *uncached, "busybox", "echo", "last")
    assert "configured logging driver does not support reading" in engine.fails("logs", "gone")
    assert (tmp_path / "said").read_text() == "HELLO\nAGAIN\nLAST\n"
    missing = ("--log-driver", "shouting", "--log-opt", "file=/nowhere/said")
    refused = engine.fails("run", "--name", "mute", *missing, "busybox", "true", code=125)
    assert "failed to create task for container: failed to initialize logging driver:" in refused
    refused = engine.fails(
        "run", "--rm", "--log-driver", "shouting", "--log-opt", "x=1", "busybox", "true", code=125
    )
    assert "unknown log opt 'x' for shouting log driver" in refused

    engine.ok("volume", "create", "--driver", "drawer", "socks")
    engine.ok("run", "--rm", "-v", "socks:/data", "busybox", "sh", "-c", "echo wool > /data/pair")
    assert (tmp_path / "drawer" / "socks" / "pair").read_text() == "wool\n"
    assert engine.ok("volume", "ls", "--filter", "driver=drawer", "-q") == "socks"
    engine.ok("volume", "rm", "socks")
    assert list((tmp_path / "drawer").iterdir()) == []
