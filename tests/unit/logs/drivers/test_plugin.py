"""Entries in the FIFO of a plugin: what every log driver does, and what plugins find there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest

from moby.core.logs import LogInfo
from moby.logs.drivers.plugin import PluginLog
from moby.logs.plugin_reading import Entries


@pytest.fixture
def info(tmp_path: Path) -> LogInfo:
    """A container with a FIFO."""
    os.mkfifo(tmp_path / "fifo")
    return LogInfo("c" * 64, "web", str(tmp_path), stream=str(tmp_path / "fifo"))


def written(info: LogInfo, *chunks: bytes) -> bytes:
    """What a plugin reads of this output."""
    found = bytearray()

    def read() -> None:
        with open(info.stream, "rb") as fifo:
            found.extend(fifo.read())

    reader = threading.Thread(target=read)
    reader.start()
    writer = PluginLog().writer(info)
    for chunk in chunks:
        writer.write("stderr", chunk, 1_700_000_000_000_000_000)
    writer.flush()
    writer.close()
    reader.join()
    return bytes(found)


def test_lines_are_entries(info: LogInfo) -> None:
    entries = list(Entries().feed(written(info, b"one\ntw", b"o\nrest")))
    assert [(entry.log, entry.stream) for entry in entries] == [
        ("one\n", "stderr"), ("two\n", "stderr"), ("rest", "stderr"),
    ]  # fmt: skip
    assert entries[0].time == "2023-11-14T22:13:20.000000000Z"


def test_more_than_a_pipe_holds_is_written(info: LogInfo) -> None:
    lines = b"".join(b"%d\n" % number for number in range(50_000))
    assert sum(1 for _ in Entries().feed(written(info, lines))) == 50_000


def test_options_are_the_plugin_s_business(info: LogInfo) -> None:
    PluginLog().check({"anything": "goes"})
    assert PluginLog().reader(info) is None
    assert not PluginLog().empty(msgspec.structs.replace(info))
