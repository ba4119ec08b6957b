"""This file is about container logs: who writes them, who reads them, and what an entry is.

A log driver has two halves. The writer lives in the container's monitor, a small process of its own that
imports nothing but the driver's module: keep that module's imports light (no asyncio, no aiohttp, no grpc).
The reader lives in the daemon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeVar

import msgspec

T = TypeVar("T")

Stream = Literal["stdout", "stderr"]

# What the monitors know the writer for plugins by; no driver of a user's has such a name.
TO_PLUGIN = "plugin:"


class LogEntry(msgspec.Struct, gc=False):
    """One line (with its newline; without one it is a part of a longer line), as json-file stores it.

    `time` is RFC 3339 with nanoseconds, in UTC.
    """

    log: str
    stream: Stream
    time: str
    attrs: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET


class LogInfo(msgspec.Struct, frozen=True):
    """What a driver may know of the container whose log it keeps; `stream` is where a plugin reads it."""

    container_id: str
    container_name: str
    directory: str
    image_id: str = ""
    image_name: str = ""
    command: str = ""
    created: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    env: Sequence[str] = ()
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    stream: str = ""


class LogQuery(msgspec.Struct, frozen=True):
    """Which entries: streams, a time window (ends included), the last `tail` ones (None: all), follow."""

    stdout: bool = True
    stderr: bool = True
    since: datetime | None = None
    until: datetime | None = None
    tail: int | None = None
    follow: bool = False


class LogWriter(Protocol):
    """Writes one container's log, in its monitor; synchronous, called from one thread.

    Life: opened when the container starts, `write` for every chunk read from it, `close` after the last.
    A writer never raises out of `write` for a condition of its destination (a full disk, a server that is
    away): it keeps or drops what it must, as its options say, and reports once on stderr.
    """

    def write(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """`data` as it came (any number of lines, the last one maybe unfinished), read at `time_ns`."""
        ...

    def flush(self) -> None:
        """Hand everything that is not an unfinished line to the kernel; called when input pauses."""
        ...

    def close(self) -> None:
        """Write unfinished lines too, and free everything."""
        ...


class LogReader(Protocol):
    """Reads one container's log, in the daemon."""

    def read(self, query: LogQuery, shape: Callable[[Sequence[LogEntry]], T]) -> AsyncIterator[T]:
        """What `shape` makes of batches of entries, oldest first; `shape` is called in the thread that reads.

        With `follow` until `finished` was called and all was read.
        """
        ...

    def finished(self) -> None:
        """No more entries will be written: end the followers when they have read everything."""
        ...


class LogDriver(Protocol):
    """A way to keep logs: checks its options, opens writers and readers."""

    name: str

    def check(self, options: Mapping[str, str]) -> None:
        """Raises InvalidParameter, in dockerd's words, for an unknown option or a wrong value."""
        ...

    def writer(self, info: LogInfo) -> LogWriter | None:
        """A writer (in the monitor); None if this driver keeps nothing."""
        ...

    def reader(self, info: LogInfo) -> LogReader | None:
        """A reader (in the daemon); None if this driver cannot read back."""
        ...

    def empty(self, info: LogInfo) -> bool:
        """Forget all that was written, also while a writer writes; False if this driver cannot."""
        return False
