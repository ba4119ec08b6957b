"""The fork server: what it loads, since every monitor has it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from moby.core.errors import System
from moby.framework.builtins import BUILTINS
from moby.monitor.client import Monitors
from moby.monitor.protocol import packet_socket
from moby.monitor.server import Drivers

HEAVY = {
    "asyncio",
    "ssl",
    "http",
    "email",
    "shutil",
    "hashlib",
    "configparser",
    "logging",
    "subprocess",
    "gzip",
    "threading",
}


def test_a_driver_brings_what_it_needs_when_it_is_used() -> None:
    targets = [f"{name}={target}" for name, target in BUILTINS["logs"].items()]
    program = (
        "import sys; from moby.monitor.server import Drivers\n"
        "drivers = Drivers(sys.argv[1:])\n"
        "assert not [name for name in sys.modules if name.startswith('moby.logs.drivers.')]\n"
        "for target in sys.argv[1:]: assert drivers.find(target.partition('=')[0]).name in target\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, *targets], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY), sorted(loaded & HEAVY)


def test_a_driver_that_cannot_be_loaded_is_named() -> None:
    drivers = Drivers(["broken=nowhere.at.all:Nothing", "odd=moby.logs.drivers.none:Nothing"])
    for name in ("broken", "odd"):
        with pytest.raises(System, match=f"cannot load the log driver {name}: "):
            drivers.find(name)
    assert drivers.find("unknown") is None
    assert drivers.find("") is None


def test_a_driver_is_loaded_once() -> None:
    drivers = Drivers(["none=moby.logs.drivers.none:NoLog"])
    assert drivers.find("none") is drivers.find("none")


async def test_a_monitor_that_ends_while_it_is_taken_back_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that nobody has accepted is reset when the listener goes."""
    monkeypatch.chdir(tmp_path)
    async with Monitors(tmp_path / "m", {}) as monitors:
        listener = packet_socket()
        listener.bind("m/ending.sock")
        listener.listen()
        asyncio.get_running_loop().call_later(0.2, listener.close)
        assert await monitors.adopt() == {}
        await monitors.stop()
