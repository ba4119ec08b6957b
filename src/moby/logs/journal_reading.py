"""This file is about reading a container's log back from systemd's journal, where `journald` put it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from moby.core.logs import LogEntry, LogQuery, LogReader, Stream
from moby.host.journal import Journal, synchronize
from moby.host.threads import Threads
from moby.logs.moments import timestamp

T = TypeVar("T")

_STREAMS: dict[bytes, Stream] = {b"3": "stderr", b"6": "stdout"}
_AT_ONCE = 1000
_PAUSE_S = 0.25
# What every entry has; anything else was asked for with the container (`labels`, `env`).
_KNOWN = frozenset({
    "MESSAGE", "MESSAGE_ID", "PRIORITY", "CODE_FILE", "CODE_LINE", "CODE_FUNC", "ERRNO", "SYSLOG_FACILITY",
    "SYSLOG_IDENTIFIER", "SYSLOG_PID", "SYSLOG_TIMESTAMP", "CONTAINER_NAME", "CONTAINER_ID",
    "CONTAINER_ID_FULL", "CONTAINER_TAG", "IMAGE_NAME", "CONTAINER_PARTIAL_ID", "CONTAINER_PARTIAL_ORDINAL",
    "CONTAINER_PARTIAL_LAST", "CONTAINER_PARTIAL_MESSAGE", "CONTAINER_LOG_EPOCH", "CONTAINER_LOG_ORDINAL",
})  # fmt: skip


class JournalReader(LogReader):
    """Reads the entries of one container, in a thread of its own, since the library wants one."""

    def __init__(self, container: str) -> None:
        self._container = container
        self._finished = asyncio.Event()

    def finished(self) -> None:
        """See `LogReader.finished`."""
        self._finished.set()

    async def read(self, query: LogQuery, shape: Callable[[Sequence[LogEntry]], T]) -> AsyncIterator[T]:
        """See `LogReader.read`."""
        if query.tail == 0 and not query.follow:
            return
        threads, reading = Threads("journal", 1), _Reading(self._container, query)
        try:
            await threads.run(reading.open)
            over = False
            while not over:
                step = partial(reading.step, finished=self._finished.is_set())
                entries, over = await threads.run(step)
                if entries:
                    yield shape(entries)
        finally:
            await asyncio.shield(threads.run(reading.close))
            threads.close()


class _Reading:
    """One reading, from its begin to its end; everything here blocks."""

    def __init__(self, container: str, query: LogQuery) -> None:
        self._container = container
        self._query = query
        self._since, self._until = _nanoseconds(query.since), _nanoseconds(query.until)
        self._journal: Journal | None = None
        self._here = False
        self._complete = False

    def open(self) -> None:
        """To where the first entry is."""
        synchronize()
        journal = self._journal = Journal()
        journal.match("CONTAINER_ID_FULL", self._container)
        tail = self._query.tail
        if tail is None:
            journal.to_begin(self._since)
            return
        journal.to_end(self._until)
        if not journal.back(tail or 1):
            # None yet: whatever comes is new.
            journal.to_begin()
        elif tail and self._since is not None and journal.time_ns() < self._since:
            journal.to_begin(self._since)
        else:
            # We stand on the first one wanted, or before it if none of the past ones is.
            self._here = tail > 0

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()

    def step(self, *, finished: bool) -> tuple[list[LogEntry], bool]:
        """Some entries, and whether those were the last ones; `finished`: nothing is written any more."""
        journal = self._journal
        assert journal is not None
        found: list[LogEntry] = []
        while len(found) < _AT_ONCE and (self._here or journal.next()):
            self._here = False
            moment = journal.time_ns()
            if self._until is not None and moment > self._until:
                return found, True
            if (entry := _entry(moment, journal.fields())) is not None and self._wanted(entry):
                found.append(entry)
        if found:
            return found, False
        if not self._query.follow or self._complete:
            return found, True
        if finished:
            # What was sent before its end is in the journal after this, and is looked for once more.
            synchronize()
            self._complete = True
            journal.wait(0)
        else:
            journal.wait(_PAUSE_S)
        return found, False

    def _wanted(self, entry: LogEntry) -> bool:
        return self._query.stdout if entry.stream == "stdout" else self._query.stderr


def _entry(time_ns: int, fields: dict[str, bytes]) -> LogEntry | None:
    """An entry of a log; None for what no container said."""
    stream = _STREAMS.get(fields.get("PRIORITY", b""))
    if stream is None or "MESSAGE" not in fields:
        return None
    whole = fields.get("CONTAINER_PARTIAL_MESSAGE") != b"true"
    text = fields["MESSAGE"].decode("utf-8", "replace")
    entry = LogEntry(f"{text}\n" if whole else text, stream, timestamp(time_ns))
    attributes = {
        name: value.decode("utf-8", "replace")
        for name, value in fields.items()
        if not name.startswith("_") and name not in _KNOWN
    }
    if attributes:
        entry.attrs = attributes
    return entry


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000_000) * 1000
