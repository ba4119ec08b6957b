"""This file is about reading back a log that a plugin keeps: entries, as long as the plugin sends some."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from moby.core.errors import System
from moby.core.logs import LogEntry, LogQuery, LogReader
from moby.core.plugins import Plugin
from moby.logs.entries import LARGEST, Decoder, Torn

T = TypeVar("T")

_LENGTH = struct.Struct(">I")
_NEVER = "0001-01-01T00:00:00Z"
# Of a plugin that has nothing more to say the stream should end; how long it may be silent first.
_SILENCE_S = 10.0


class PluginReader(LogReader):
    """Asks the plugin for entries; what does not fit the question is left out, whatever the plugin thinks."""

    def __init__(self, plugin: Plugin, info: object, silence_s: float = _SILENCE_S) -> None:
        self._plugin = plugin
        self._info = info
        self._silence_s = silence_s
        self._finished = False
        self._limit: asyncio.Timeout | None = None

    async def read(self, query: LogQuery, shape: Callable[[Sequence[LogEntry]], T]) -> AsyncIterator[T]:
        """See `LogReader.read`. Raises System for what are no entries."""
        config = {
            "Since": _NEVER if query.since is None else query.since.isoformat(),
            "Until": _NEVER if query.until is None else query.until.isoformat(),
            "Tail": -1 if query.tail is None else query.tail,
            "Follow": query.follow,
        }
        asked = {"Info": self._info, "Config": config}
        entries = Entries()
        async with self._plugin.stream("LogDriver.ReadLogs", asked) as pieces:
            async for piece in self._until_silence(pieces):
                try:
                    found = [entry for entry in entries.feed(piece) if _wanted(entry, query)]
                except Torn as error:
                    raise System("error decoding log message") from error
                if found:
                    yield shape(found)

    async def _until_silence(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._silence_s if self._finished else None) as self._limit:
                    piece = await anext(pieces, None)
            except TimeoutError:
                return
            if piece is None:
                return
            yield piece

    def finished(self) -> None:
        """See `LogReader.finished`."""
        self._finished = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self._silence_s)


class Entries:
    """Takes a stream of entries, each after its length (sans-io)."""

    def __init__(self) -> None:
        self._held = b""
        self._decoder = Decoder()

    def feed(self, data: bytes) -> Iterator[LogEntry]:
        """The entries that `data` completes. Raises Torn for what are none."""
        self._held += data
        at = 0
        while at + 4 <= len(self._held):
            (length,) = _LENGTH.unpack_from(self._held, at)
            if length > LARGEST:
                raise Torn(at)
            if at + 4 + length > len(self._held):
                break
            entry = self._decoder.decode(self._held[at + 4 : at + 4 + length])
            # Plugins give a line back with its newline, or without as they got it.
            if entry.log.endswith("\n\n"):
                entry.log = entry.log[:-1]
            yield entry
            at += 4 + length
        self._held = self._held[at:]


def _wanted(entry: LogEntry, query: LogQuery) -> bool:
    if not (query.stdout if entry.stream == "stdout" else query.stderr):
        return False
    moment = datetime.fromisoformat(entry.time)
    return (query.since is None or moment >= query.since) and (query.until is None or moment <= query.until)
