"""This file is about events on disk: a journal in several files, of which the oldest is dropped."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import msgspec

from moby.core.events import Event
from moby.host.files import translation

log = logging.getLogger(__name__)

_SUFFIX = ".jsonl"


class Position(NamedTuple):
    """A place in the journal: the number of a file, and how many bytes into it."""

    file: int
    offset: int


class EventJournal:
    """Events as lines of JSON, the newest at the end; at most `files` files of about `size` bytes.

    An event is handed to the kernel before `append` returns, so that it is there after any end of the
    process. A disk that is full costs events here, and nothing else.
    """

    def __init__(self, directory: Path, *, size: int = 4 << 20, files: int = 8) -> None:
        self._directory = directory
        self._size = size
        self._files = files
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Event)
        self._numbers: list[int] = []
        self._descriptor = -1
        self._offset = 0
        self._failing = False

    def __enter__(self) -> Self:
        """Open; a line that was cut by a crash is taken off. Raises MobyError."""
        with translation("cannot open the journal of events"):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._directory.glob(f"*{_SUFFIX}")
            self._numbers = sorted(int(path.stem) for path in found if path.stem.isdigit())
            if not self._numbers:
                self._numbers = [1]
            self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def end(self) -> Position:
        """Where the next event will be."""
        return Position(self._numbers[-1], self._offset)

    def append(self, event: Event) -> None:
        """Write an event. Never fails: what cannot be written is logged, once."""
        if self._descriptor < 0:
            return
        line = self._encoder.encode(event) + b"\n"
        try:
            if self._offset and self._offset + len(line) > self._size:
                self._next_file()
            written = os.write(self._descriptor, line)
            if written < len(line):
                # What is left of a full disk: nothing may follow half a line.
                os.ftruncate(self._descriptor, self._offset)
            else:
                self._offset += len(line)
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.warning("events are not written to disk", extra={"error": str(error)})
            self._failing = True

    def read(self, since_ns: int | None, until_ns: int | None, end: Position) -> Iterator[Event]:
        """The events of that time before `end`, the oldest first; may be iterated in any thread."""
        numbers = [number for number in self._numbers if number <= end.file]
        for number, following in zip(numbers, [*numbers[1:], 0], strict=True):
            if since_ns is not None and following and self._begins_before(following, since_ns):
                continue
            with contextlib.suppress(FileNotFoundError), self._path(number).open("rb") as file:
                yield from self._events(file, since_ns, until_ns, end.offset if number == end.file else None)

    def _events(
        self, file: BinaryIO, since_ns: int | None, until_ns: int | None, stop: int | None
    ) -> Iterator[Event]:
        for line in file:
            if stop is not None:
                stop -= len(line)
                if stop < 0:
                    return
            event = self._decoded(line)
            if (
                event is not None
                and (since_ns is None or event.time_nano >= since_ns)
                and (until_ns is None or event.time_nano <= until_ns)
            ):
                yield event

    def _decoded(self, line: bytes) -> Event | None:
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("a line of the journal of events is unreadable", extra={"bytes": len(line)})
            return None

    def _begins_before(self, number: int, moment: int) -> bool:
        try:
            with self._path(number).open("rb") as file:
                line = file.readline()
        except FileNotFoundError:
            return False
        event = self._decoded(line) if line else None
        return event is not None and event.time_nano < moment

    def _next_file(self) -> None:
        os.close(self._descriptor)
        self._numbers.append(self._numbers[-1] + 1)
        self._open()
        while len(self._numbers) > self._files:
            self._path(self._numbers.pop(0)).unlink(missing_ok=True)

    def _open(self) -> None:
        self._descriptor, self._offset = -1, 0
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path(self._numbers[-1]), flags, 0o600)
        size = os.fstat(self._descriptor).st_size
        self._offset = _last_line_end(self._descriptor, size)
        if self._offset != size:
            os.ftruncate(self._descriptor, self._offset)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08}{_SUFFIX}"


def _last_line_end(descriptor: int, size: int) -> int:
    step = 1 << 16
    while size > 0:
        begin = max(0, size - step)
        if (found := os.pread(descriptor, size - begin, begin).rfind(b"\n")) >= 0:
            return begin + found + 1
        size = begin
    return 0
