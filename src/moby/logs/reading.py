"""This file is about reading json-file logs back: from the end, in a window of time, and as they grow."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from moby.core.logs import LogEntry, LogQuery, LogReader
from moby.host.inotify import Changes
from moby.host.threads import blocking

_BLOCK = 1 << 20


@dataclass(slots=True)
class _Part:
    """One file of a log, opened; one that is `closed` never grows again."""

    file: BinaryIO
    inode: int
    closed: bool = False
    rest: bytes = b""


class JsonFileReader(LogReader):
    """Reads a log that its monitor may be writing at the same time."""

    def __init__(self, path: Path, *, files: int) -> None:
        self._path = path
        self._files = files
        self._finished = asyncio.Event()
        self._decoder = msgspec.json.Decoder(LogEntry)

    def finished(self) -> None:
        """See `LogReader.finished`."""
        self._finished.set()

    async def read(self, query: LogQuery) -> AsyncIterator[Sequence[LogEntry]]:
        """See `LogReader.read`."""
        if query.tail == 0 and not query.follow:
            return
        window = _Window(query)
        changes = Changes(self._path) if query.follow else None
        parts = await blocking(self._open_all)
        try:
            if query.tail is not None:
                parts = await blocking(_skip_to_tail, parts, query.tail)
            while parts:
                last = len(parts) == 1
                while block := await blocking(self._block, parts[0], window):
                    if block.entries:
                        yield block.entries
                    if block.over:
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
                    async for entries in self.read(_rest_of(query)):
                        yield entries
                    return
        finally:
            for part in parts:
                part.file.close()
            if changes is not None:
                changes.close()

    async def _more(self, parts: list[_Part], changes: Changes) -> bool:
        """Wait for more in the last part, or for a part after it; False when there will be none."""
        part = parts[0]
        if newer := await blocking(self._newer_than, part.inode):
            parts.extend(newer)
            return True
        if await blocking(_has_more, part):
            return True
        if self._finished.is_set():
            return False
        await changes.wait_or(self._finished)
        return True

    def _open_all(self) -> list[_Part]:
        """Every part, the oldest first."""
        found = []
        for number in range(self._files - 1, 0, -1):
            parts = [_open(f"{self._path}.{number}{suffix}") for suffix in ("", ".gz")]
            found += [part for part in parts if part is not None]
        if (part := _open(str(self._path))) is not None:
            found.append(part)
        return found

    def _newer_than(self, inode: int) -> list[_Part]:
        """The parts that were begun after the one with this inode; none while it is the newest."""
        parts = self._open_all()
        inodes = [part.inode for part in parts]
        start = inodes.index(inode) + 1 if inode in inodes else max(len(parts) - 1, 0)
        for part in parts[:start]:
            part.file.close()
        return parts[start:]

    def _block(self, part: _Part, window: _Window) -> _Block | None:
        """The entries of the next block; None at the end of what is there."""
        data = part.file.read(_BLOCK)
        if not data:
            return None
        data = part.rest + data
        end = data.rfind(b"\n") + 1
        part.rest = data[end:]
        return window.cut(self._decode(data[:end]))

    def _decode(self, data: bytes) -> list[LogEntry]:
        try:
            return self._decoder.decode_lines(data)
        except msgspec.MsgspecError:
            return list(self._whole_lines(data))

    def _whole_lines(self, data: bytes) -> Sequence[LogEntry]:
        """Line by line, without the ones that a crash tore."""
        found = []
        for line in data.splitlines():
            try:
                found.append(self._decoder.decode(line))
            except msgspec.MsgspecError:
                continue
        return found


@dataclass(frozen=True, slots=True)
class _Block:
    entries: Sequence[LogEntry]
    over: bool


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


def _open(path: str) -> _Part | None:
    try:
        if path.endswith(".gz"):
            plain = cast("BinaryIO", gzip.open(path, "rb"))  # noqa: SIM115 - closed with its part
            return _Part(plain, os.stat(path).st_ino, closed=True)
        file = open(path, "rb", buffering=0)  # noqa: SIM115
    except FileNotFoundError:
        return None
    return _Part(cast("BinaryIO", file), os.fstat(file.fileno()).st_ino)


def _has_more(part: _Part) -> bool:
    if part.closed:
        return False
    return os.fstat(part.file.fileno()).st_size > part.file.tell()


def _skip_to_tail(parts: list[_Part], lines: int) -> list[_Part]:
    """Leave only the last `lines` lines to be read, counted from the end without reading the rest."""
    wanted = lines
    for index in range(len(parts) - 1, -1, -1):
        wanted -= _seek_back(parts[index].file, wanted)
        if wanted <= 0:
            for part in parts[:index]:
                part.file.close()
            return parts[index:]
    return parts


def _seek_back(file: BinaryIO, lines: int) -> int:
    """Go to where the last `lines` whole lines begin; how many there were (at most `lines`)."""
    position = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return 0
    found = -1
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        data = file.read(position - start)
        count = data.count(b"\n")
        if found + count >= lines:
            at = len(data)
            for _ in range(lines - found):
                at = data.rfind(b"\n", 0, at)
            file.seek(start + at + 1)
            return lines
        found += count
        position = start
    file.seek(0)
    return found + 1
