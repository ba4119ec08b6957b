"""Logs that a plugin gives back: in pieces, with what was not asked for, without an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from moby.core.errors import System
from moby.core.logs import LogQuery, Stream
from moby.logs.entries import encode
from moby.logs.lines import Message
from moby.logs.plugin_reading import Entries, PluginReader

BEGAN = 1_700_000_000_000_000_000


def entry(text: bytes, second: int = 0, stream: Stream = "stdout") -> bytes:
    """As it comes from a plugin."""
    return encode([Message(stream, text, BEGAN + second * 1_000_000_000)], closed=False)


class Plugin:
    """Sends pieces, and then goes on for ever if it is told so."""

    name = "sample"

    def __init__(self, pieces: Sequence[bytes], endless: bool = False) -> None:
        self._pieces, self._endless = pieces, endless
        self.asked: Any = None

    @asynccontextmanager
    async def stream(self, method: str, request: object) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked = request
        yield self._send()

    async def _send(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._endless:
            await asyncio.Event().wait()

    async def call(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


async def read(plugin: Plugin, query: LogQuery, *, silence_s: float = 10) -> list[str]:
    """Lines that a query finds."""
    reader = PluginReader(plugin, {"ContainerID": "c"}, silence_s)
    reader.finished()
    return [one.log for batch in [part async for part in reader.read(query, list)] for one in batch]


def test_entries_come_in_any_pieces() -> None:
    data = entry(b"one\n") + entry(b"two") + entry(b"\n")
    entries = Entries()
    found = [one.log for at in range(len(data)) for one in entries.feed(data[at : at + 1])]
    assert found == ["one\n", "two\n", "\n"]


async def test_only_what_was_asked_for_counts() -> None:
    plugin = Plugin([entry(b"a"), entry(b"b", 1), entry(b"c", 2, "stderr"), entry(b"d", 3)])
    query = LogQuery(
        since=datetime.fromtimestamp(1_700_000_001, UTC), until=None, stderr=False, tail=3, follow=True
    )
    assert await read(plugin, query) == ["b\n", "d\n"]
    assert plugin.asked == {
        "Info": {"ContainerID": "c"},
        "Config": {
            "Since": "2023-11-14T22:13:21+00:00",
            "Until": "0001-01-01T00:00:00Z",
            "Tail": 3,
            "Follow": True,
        },
    }


async def test_one_without_an_end_is_not_waited_for_forever() -> None:
    assert await read(Plugin([entry(b"a")], endless=True), LogQuery(follow=True), silence_s=0.01) == ["a\n"]


@pytest.mark.parametrize("rubbish", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xff"])
async def test_what_is_no_entry_is_an_error(rubbish: bytes) -> None:
    with pytest.raises(System, match="error decoding log message"):
        await read(Plugin([entry(b"a"), rubbish]), LogQuery())
