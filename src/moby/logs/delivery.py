"""This file is about delivering a log in a thread of its own: a slow destination holds up nobody else.

What waits is bounded. When it is full, `blocking` makes the container wait (whoever writes asks `full` and
leaves the rest in the container's pipe until `descriptor` is readable), and `non-blocking` drops new lines.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from moby.core.logs import LogWriter, Stream
from moby.logs.lines import LINE_LIMIT, LineWriter, character_end, slices
from moby.logs.options import parse_size

_WAITING = 1 << 20
_BUFFER = 1_000_000
_PAUSE: tuple[Stream, bytes, int] = ("stdout", b"", 0)
# The daemon waits ten seconds for a container's last output.
_END_LIMIT_S = 8.0


def delivered(writer: LogWriter, options: Mapping[str, str]) -> Delivery:
    """A writer that may wait for its destination, as the delivery mode in the options says."""
    if options.get("mode") != "non-blocking":
        return Delivery(writer, _WAITING, dropping=False)
    size = options.get("max-buffer-size")
    return Delivery(writer, parse_size(size) if size is not None else _BUFFER, dropping=True)


class Delivery(LogWriter):
    """Takes output from the monitor's only thread and gives it to a writer that may wait, in another."""

    def __init__(
        self, writer: LogWriter, limit: int, *, dropping: bool, size: Callable[[bytes], int] = len
    ) -> None:
        # Not at the top: what this does in each fork would cost every monitor 300 KB, and few have a thread.
        import threading

        # A monitor collects no garbage; foreign libraries make some.
        gc.enable()
        self._writer = writer
        self._limit = limit
        self._dropping = dropping
        self._pieces = Pieces() if dropping else None
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Stream, bytes, int]] = deque()
        self._size_of = size
        self._size = 0
        self._latest = 0
        self._ending = False
        self._complaint = ""
        self._flush_after_s = writer.flush_after_s if isinstance(writer, LineWriter) else None
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Does the container have to wait? `descriptor` is readable as soon as it no longer has to."""
        return not self._dropping and self._size >= self._limit

    def room(self) -> None:
        """Take note that `descriptor` was readable."""
        try:
            os.eventfd_read(self.descriptor)
        except BlockingIOError:
            return

    def write(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """See `LogWriter.write`; never waits."""
        self._latest = time_ns
        pieces = slices(data) if self._pieces is None else self._pieces.feed(stream, data)
        with self._changed:
            for piece in pieces:
                self._put(stream, piece, time_ns)
            self._changed.notify()

    def _put(self, stream: Stream, piece: bytes, time_ns: int) -> None:
        # One that is larger than all the room goes in when nothing else is there, as in dockerd.
        size = self._size_of(piece)
        if self._dropping and self._waiting and self._size + size > self._limit:
            return
        self._waiting.append((stream, piece, time_ns))
        self._size += size

    def flush(self) -> None:
        """See `LogWriter.flush`."""

    def close(self) -> None:
        """See `LogWriter.close`: what waits is delivered within a limit of time."""
        rest = self._pieces.end() if self._pieces is not None else ()
        with self._changed:
            for stream, piece in rest:
                self._put(stream, piece, self._latest)
            self._ending = True
            self._changed.notify()
        if isinstance(self._writer, LineWriter):
            self._writer.hurry()
        self._thread.join(_END_LIMIT_S)
        if self._thread.is_alive():
            self._complain("not all of the log could be delivered")

    # The thread

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                if item is _PAUSE:
                    self._writer.flush()
                else:
                    self._writer.write(*item)
            except Exception as error:  # noqa: BLE001 - a driver's fault: this much is lost, the next may pass
                self._complain(str(error))
        try:
            self._writer.close()
        except Exception as error:  # noqa: BLE001 - as above
            self._complain(str(error))

    def _next(self) -> tuple[Stream, bytes, int] | None:
        with self._changed:
            while not self._waiting and not self._ending:
                if not self._changed.wait(self._flush_after_s):
                    return _PAUSE
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            was_full = self.full
            self._size -= self._size_of(item[1])
            if was_full and not self.full:
                os.eventfd_write(self.descriptor, 1)
            return item

    def _complain(self, words: str) -> None:
        if words != self._complaint:
            self._complaint = words
            print(f"cannot deliver a log: {words}", file=sys.stderr)  # noqa: T201 - the monitor's log


class Pieces:
    """Cuts output where a part can be left out: after a line, or in one that is longer than any entry."""

    def __init__(self) -> None:
        self._unfinished: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def feed(self, stream: Stream, data: bytes) -> list[bytes]:
        """The pieces that `data` completes."""
        data = self._unfinished[stream] + data
        found, start = [], 0
        end = data.rfind(b"\n") + 1
        while start < end:
            stop = data.rfind(b"\n", start, start + LINE_LIMIT) + 1
            stop = stop or start + character_end(data[start : start + LINE_LIMIT + 1], LINE_LIMIT)
            stop = min(stop, end)
            found.append(data[start:stop])
            start = stop
        while len(data) - start > LINE_LIMIT:
            stop = start + character_end(data[start : start + LINE_LIMIT + 1], LINE_LIMIT)
            found.append(data[start:stop])
            start = stop
        self._unfinished[stream] = data[start:]
        return found

    def end(self) -> Iterator[tuple[Stream, bytes]]:
        """What is left when nothing more comes."""
        yield from ((stream, rest) for stream, rest in self._unfinished.items() if rest)
