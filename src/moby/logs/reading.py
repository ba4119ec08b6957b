"""This file is about reading logs in files back: from the end, in a window of time, and as they grow."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar, cast

import msgspec

from moby.core.logs import LogEntry, LogQuery, LogReader
from moby.host.inotify import Changes
from moby.host.threads import begin, blocking, settle
from moby.logs.formats import Format

# A block's entries fit into the processor's cache; a stretch of them is worth the way to a thread and back.
_BLOCK = 1 << 16
_STRETCH = 8
T = TypeVar("T")

_HEADER = 40
_TRIES = 10


class _Part(msgspec.Struct):
    """One file of a log, opened; one that is `closed` never grows again."""

    file: BinaryIO
    inode: int
    number: int
    closed: bool = False
    origin: int = 0
    rest: bytes = b""


class FileReader(LogReader):
    """Reads a log that its monitor may be writing at the same time."""

    def __init__(self, path: str, form: Format, *, files: int) -> None:
        self._path = Path(path)
        self._format = form
        self._files = files
        self._finished = asyncio.Event()

    def finished(self) -> None:
        """See `LogReader.finished`."""
        self._finished.set()

    async def read(
        self, query: LogQuery, shape: Callable[[Sequence[LogEntry]], T]
    ) -> AsyncGenerator[T, None]:
        """See `LogReader.read`."""
        if query.tail == 0 and not query.follow:
            return
        window = _Window(query)
        changes = Changes(self._path) if query.follow else None
        parts: list[_Part] = []
        try:
            parts = await blocking(self._open_all)
            if query.tail is not None:
                parts = await blocking(self._skip_to_tail, parts, query.tail)
            while parts:
                last = len(parts) == 1
                over = False
                async with aclosing(_ahead(partial(self._stretch, parts[0], window, shape))) as stretches:
                    async for stretch in stretches:
                        for shaped in stretch.shaped:
                            yield shaped
                        over = stretch.over
                if over:
                    return
                if not last:
                    parts.pop(0).file.close()
                elif changes is None or not await self._more(parts, changes):
                    return
            while changes is not None and not parts:
                # Nothing has been written yet.
                if self._finished.is_set() and not self._path.exists():
                    return
                await changes.wait_or(self._finished)
                parts = await blocking(self._open_all)
                if parts:
                    async with aclosing(self.read(_rest_of(query), shape)) as rest:
                        async for shaped in rest:
                            yield shaped
                    return
        finally:
            _close(parts)
            if changes is not None:
                changes.close()

    async def _more(self, parts: list[_Part], changes: Changes) -> bool:
        """Wait for more in the last part, or for a part after it; False when there will be none."""
        part = parts[0]
        # Asked before it is looked for more: what is written in between is not lost.
        finished = self._finished.is_set()
        if newer := await blocking(self._newer_than, part):
            parts.extend(newer)
            return True
        if await blocking(_has_more, part):
            return True
        if finished:
            return False
        await changes.wait_or(self._finished)
        return True

    def _open_all(self) -> list[_Part]:
        """Every part, the oldest first; looked for again if a new one was begun meanwhile."""
        for _ in range(_TRIES):
            parts = self._open_each()
            newest = parts[-1].inode if parts and parts[-1].number == 0 else 0
            if _inode(self._path) == newest:
                return parts
            _close(parts)
        return self._open_each()

    def _open_each(self) -> list[_Part]:
        """From the newest to the oldest, since that is the way they move: none is missed."""
        found: list[_Part] = []
        for number in range(self._files):
            name = f"{self._path}.{number}" if number else str(self._path)
            part = _open(name, number) or (_open(f"{name}.gz", number) if number else None)
            if part is None:
                continue
            if found and part.inode == found[-1].inode:
                part.file.close()
            else:
                found.append(part)
        found.reverse()
        return found

    def _newer_than(self, known: _Part) -> list[_Part]:
        """The parts that were begun after this one, which is open: its inode is no other's."""
        parts = self._open_all()
        for index in range(len(parts) - 1, -1, -1):
            if known.inode in (parts[index].inode, parts[index].origin):
                _close(parts[: index + 1])
                return parts[index + 1 :]
        return parts

    def _stretch(
        self, part: _Part, window: _Window, shape: Callable[[Sequence[LogEntry]], T]
    ) -> _Stretch[T] | None:
        """The next blocks; None at the end of what is there. Shaped here, where their entries are at hand."""
        found: _Stretch[T] = _Stretch([])
        for number in range(_STRETCH):
            block = self._block(part, window)
            if block is None:
                return found if number else None
            if block.entries:
                found.shaped.append(shape(block.entries))
            if block.over:
                found.over = True
                break
        return found

    def _block(self, part: _Part, window: _Window) -> _Block | None:
        """The entries of the next block; None at the end of what is there."""
        data = part.file.read(_BLOCK)
        if not data:
            return None
        data = part.rest + data
        entries, end = self._format.decode(data)
        part.rest = data[end:]
        return window.cut(entries)

    def _skip_to_tail(self, parts: list[_Part], count: int) -> list[_Part]:
        """Leave only the last `count` entries to be read, counted from the end without reading the rest."""
        wanted = count
        for index in range(len(parts) - 1, -1, -1):
            wanted -= self._format.seek_back(parts[index].file, wanted, compressed=parts[index].closed)
            if wanted <= 0:
                _close(parts[:index])
                return parts[index:]
        return parts


async def _ahead(step: Callable[[], _Stretch[T] | None]) -> AsyncGenerator[_Stretch[T], None]:
    """Stretch after stretch until one is the last; each is read while the one before it is on its way."""
    reading = begin(step)
    try:
        while (stretch := await asyncio.shield(reading)) is not None:
            if not stretch.over:
                reading = begin(step)
            yield stretch
            if stretch.over:
                return
    finally:
        await settle(reading)


class _Block(msgspec.Struct, frozen=True):
    entries: Sequence[LogEntry]
    over: bool


class _Stretch(msgspec.Struct, Generic[T]):
    shaped: list[T]
    over: bool = False


class _Window:
    """Which entries a query wants; time stamps compare as text, digit by digit, once they are as long."""

    def __init__(self, query: LogQuery) -> None:
        self._since = _text(query.since)
        self._until = _text(query.until)
        self._stream = None if query.stdout and query.stderr else "stdout" if query.stdout else "stderr"

    def cut(self, entries: list[LogEntry]) -> _Block:
        over = False
        if self._since and entries and _padded(entries[0].time) < self._since:
            entries = [entry for entry in entries if _padded(entry.time) >= self._since]
        if self._until and entries and _padded(entries[-1].time) > self._until:
            entries = [entry for entry in entries if _padded(entry.time) <= self._until]
            over = True
        if self._stream is not None:
            entries = [entry for entry in entries if entry.stream == self._stream]
        return _Block(entries, over)


def _rest_of(query: LogQuery) -> LogQuery:
    return msgspec.structs.replace(query, tail=None)


def _text(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000"


def _padded(time: str) -> str:
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}"


def _open(path: str, number: int) -> _Part | None:
    try:
        raw = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with its part
    except FileNotFoundError:
        return None
    inode = os.fstat(raw.fileno()).st_ino
    if not path.endswith(".gz"):
        return _Part(cast("BinaryIO", raw), inode, number)
    origin = _origin(raw.read(_HEADER))
    raw.seek(0)
    return _Part(cast("BinaryIO", _Unzipped(raw)), inode, number, closed=True, origin=origin)


class _Unzipped(gzip.GzipFile):
    """A compressed part; the file below it goes with it."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._below = raw

    def close(self) -> None:
        """Both."""
        super().close()
        self._below.close()


def _origin(header: bytes) -> int:
    """The inode that the writer left in a compressed part's name field (RFC 1952); 0 if there is none."""
    if len(header) < 10 or not header[3] & 8:
        return 0
    name = header[10:].partition(b"\0")[0]
    return int(name) if name.isdigit() else 0


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


def _close(parts: Sequence[_Part]) -> None:
    for part in parts:
        part.file.close()


def _has_more(part: _Part) -> bool:
    if part.closed:
        return False
    return os.fstat(part.file.fileno()).st_size > part.file.tell()
