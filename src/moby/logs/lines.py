"""This file is about a container's output as messages: a line each, and long lines in parts (sans-io)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from moby.core.logs import LogWriter, Stream

LINE_LIMIT = 16 << 10
_TOGETHER = 32 << 10
_SLICE = 64 << 10


class Partial(NamedTuple):
    """Which part of a longer line a message is; parts count from 1 and share the line's identifier."""

    id: str
    ordinal: int
    last: bool


class Message(NamedTuple):
    """One line without its newline, or a part of one; a last line without an end is such a part."""

    stream: Stream
    line: bytes
    time_ns: int
    partial: Partial | None = None


class Lines:
    """Takes both streams' output as it comes and gives messages.

    The parts of a line have the time of the first one, so that they stay together when they are sorted.
    """

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._unfinished: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self._begun: dict[Stream, tuple[str, int, int]] = {}

    def feed(self, stream: Stream, data: bytes, time_ns: int) -> list[Message]:
        """The messages that `data` completes."""
        held = self._unfinished[stream]
        if held:
            data = held + data
        lines = data.split(b"\n")
        rest = lines.pop()
        found: list[Message] = []
        for line in lines:
            if len(line) > self._limit or stream in self._begun:
                found += self._long(stream, line, time_ns)
            else:
                found.append(Message(stream, line, time_ns))
        # One byte more, so that it shows where a character ends.
        while len(rest) > self._limit:
            cut = character_end(rest, self._limit)
            found.append(self._part(stream, rest[:cut], time_ns, last=False))
            rest = rest[cut:]
        self._unfinished[stream] = rest
        return found

    def plain(self, stream: Stream, data: bytes) -> list[bytes] | None:
        """The lines that `data` completes, if all are short; otherwise none, and `feed` has to take it."""
        if stream in self._begun:
            return None
        held = self._unfinished[stream]
        lines = (held + data if held else data).split(b"\n")
        if max(map(len, lines)) > self._limit:
            return None
        self._unfinished[stream] = lines.pop()
        return lines

    def _long(self, stream: Stream, line: bytes, time_ns: int) -> list[Message]:
        parts = []
        while len(line) > self._limit:
            cut = character_end(line, self._limit)
            parts.append(self._part(stream, line[:cut], time_ns, last=False))
            line = line[cut:]
        parts.append(self._part(stream, line, time_ns, last=True))
        return parts

    def _part(self, stream: Stream, line: bytes, time_ns: int, *, last: bool) -> Message:
        name, ordinal, began = self._begun.get(stream) or (os.urandom(32).hex(), 1, time_ns)
        if last:
            self._begun.pop(stream, None)
        else:
            self._begun[stream] = (name, ordinal + 1, began)
        return Message(stream, line, began, Partial(name, ordinal, last))

    def end(self, time_ns: int) -> list[Message]:
        """What is left when nothing more comes."""
        found = [
            self._part(stream, rest, time_ns, last=False) for stream, rest in self._unfinished.items() if rest
        ]
        self._unfinished = {"stdout": b"", "stderr": b""}
        return found


class LineWriter(LogWriter):
    """A writer of messages; a driver says in `send` where to, and in `release` what there is to free."""

    line_limit = LINE_LIMIT
    # After so long without output `flush` is called, if what is held back is to be sent by then.
    flush_after_s: float | None = None

    def __init__(self) -> None:
        self._lines = Lines(self.line_limit)
        self._latest = 0

    def write(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """See `LogWriter.write`."""
        self._latest = time_ns
        if messages := self._lines.feed(stream, data, time_ns):
            self.send(messages)

    def flush(self) -> None:
        """See `LogWriter.flush`; nothing is held back but unfinished lines."""

    def close(self) -> None:
        """See `LogWriter.close`."""
        try:
            if messages := self._lines.end(self._latest):
                self.send(messages)
        finally:
            self.release()

    def hurry(self) -> None:
        """Called in another thread: the container has ended, so wait for nobody who does not answer."""

    def send(self, messages: list[Message]) -> None:
        """Pass messages on, in order."""
        raise NotImplementedError

    def release(self) -> None:
        """Free what is held; nothing more is sent."""


def joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces for a stream, together as far as it pays."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _TOGETHER:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def slices(data: bytes) -> list[bytes]:
    """A chunk in pieces: many objects are made of each, and not of a megabyte at once."""
    if len(data) <= _SLICE:
        return [data]
    return [data[start : start + _SLICE] for start in range(0, len(data), _SLICE)]


def character_end(data: bytes, limit: int) -> int:
    """The last place up to `limit`, which is in `data`, where no UTF-8 sequence is cut."""
    for cut in range(limit, max(limit - 4, 0), -1):
        if data[cut] & 0xC0 != 0x80:
            return cut
    return limit
