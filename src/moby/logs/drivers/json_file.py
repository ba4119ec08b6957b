"""This file is about json-file, the default log: a JSON object a line, in a file beside the container."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogEntry, LogInfo, LogReader, LogWriter, Stream
from moby.logs.options import ATTRIBUTE_OPTIONS, attributes, parse_count, parse_flag, parse_size

_OPTIONS = ATTRIBUTE_OPTIONS | {"max-size", "max-file", "compress", "mode", "max-buffer-size"}
_LINE_LIMIT = 16 << 10
_SUFFIXES = ("", ".gz")


class JsonFile(LogDriver):
    """Keeps a log as `<id>-json.log`, with older parts as `.1`, `.2` (the higher the older)."""

    name = "json-file"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            if option not in _OPTIONS:
                raise InvalidParameter(f"unknown log opt '{option}' for json-file log driver")
        size, files = _rotation(options)
        if options.get("mode", "blocking") != "blocking":
            raise InvalidParameter("json-file: only the delivery mode 'blocking' is supported")
        if "max-buffer-size" in options:
            raise InvalidParameter(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
            )
        if parse_flag("compress", options.get("compress", "false")) and (files < 2 or not size):
            raise InvalidParameter(
                "compress cannot be true when max-file is less than 2 or max-size is not set"
            )
        for name in ("labels-regex", "env-regex"):
            try:
                re.compile(options.get(name, ""))
            except re.error as error:
                raise InvalidParameter(f"error parsing regexp: {error}") from error

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        return JsonFileWriter(info)

    def reader(self, info: LogInfo) -> LogReader:
        """See `LogDriver.reader`."""
        from moby.logs.reading import JsonFileReader

        return JsonFileReader(log_path(info), files=_rotation(info.options)[1])


def log_path(info: LogInfo) -> Path:
    """Where a container's log is."""
    return Path(info.directory) / f"{info.container_id}-json.log"


def _rotation(options: Mapping[str, str]) -> tuple[int, int]:
    """The size at which a new file is begun (0: never), and how many files are kept."""
    text = options.get("max-size", "")
    size = 0 if text in ("", "-1") else parse_size(text)
    if text and text != "-1" and size <= 0:
        raise InvalidParameter(f"max-size must be a positive number: {text}")
    return size, parse_count("max-file", options.get("max-file", "1"))


class JsonFileWriter(LogWriter):
    """Writes whole lines as they are complete, all lines of a chunk in one write, with one time stamp.

    A line of more than 16 KiB becomes several entries, of which only the last ends with a newline.
    """

    def __init__(self, info: LogInfo) -> None:
        self._path = log_path(info)
        self._size_limit, self._files = _rotation(info.options)
        self._compress = info.options.get("compress", "false").lower() in ("true", "1", "t")
        found = attributes(info)
        self._attrs = found or msgspec.UNSET
        self._encoder = msgspec.json.Encoder()
        self._unfinished: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self._complained = False
        self._file, self._size, self._torn = -1, 0, False
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o640)
        self._size = os.fstat(self._file).st_size
        self._end_torn_line()

    def _end_torn_line(self) -> None:
        """A killed writer or a full disk may have left half a line: what comes now must not join it."""
        self._torn = False
        if not self._size:
            return
        with open(self._path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            self._torn = file.read(1) != b"\n"
        if self._torn:
            self._size += os.write(self._file, b"\n")
            self._torn = False

    def write(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """See `LogWriter.write`."""
        held = self._unfinished[stream]
        if held:
            data = held + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        stamp = timestamp(time_ns)
        if end:
            self._write_lines(_lines(data[:end]), stream, stamp)
        while len(rest) >= _LINE_LIMIT:
            cut = _character_end(rest, _LINE_LIMIT)
            self._write_lines([rest[:cut]], stream, stamp)
            rest = rest[cut:]
        self._unfinished[stream] = rest

    def _write_lines(self, lines: list[bytes], stream: Stream, stamp: str) -> None:
        attrs = self._attrs
        entries = [LogEntry(line.decode("utf-8", "replace"), stream, stamp, attrs) for line in lines]
        self._put(self._encoder.encode_lines(entries))

    def _put(self, block: bytes) -> None:
        try:
            if self._size_limit and self._size + len(block) > self._size_limit:
                self._put_rotating(block)
                return
            self._put_whole(block)
        except OSError as error:
            self._complain(error)

    def _put_whole(self, block: bytes) -> None:
        if self._file < 0:
            self._open()
        if self._torn:
            self._end_torn_line()
        view = memoryview(block)
        try:
            while view:
                written = os.write(self._file, view)
                view = view[written:]
                self._size += written
        except OSError:
            self._torn = True
            raise

    def _put_rotating(self, block: bytes) -> None:
        for line in block.splitlines(keepends=True):
            if self._size >= self._size_limit:
                self._rotate()
            self._put_whole(line)

    def _rotate(self) -> None:
        """Begin a new file; a reader that has the old one open finds it renamed, not cut."""
        inode = os.fstat(self._file).st_ino
        os.close(self._file)
        # Should anything fail now, no other file that gets this number must be written to.
        self._file = -1
        try:
            self._shift()
            if self._files > 1:
                os.replace(self._path, f"{self._path}.1")
                if self._compress:
                    _compress(f"{self._path}.1", inode)
            else:
                os.unlink(self._path)
        finally:
            self._open()

    def _shift(self) -> None:
        """Make each older file older by one; the oldest goes. A crash may have left one not compressed."""
        for number in range(self._files - 1, 1, -1):
            if any(os.path.exists(f"{self._path}.{number - 1}{suffix}") for suffix in _SUFFIXES):
                for suffix in _SUFFIXES:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{self._path}.{number}{suffix}")
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(f"{self._path}.{number - 1}{suffix}", f"{self._path}.{number}{suffix}")
        if self._compress and self._files > 1:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}.1.gz")

    def _complain(self, error: OSError) -> None:
        """A full disk must not stop the container: entries are lost until there is room again."""
        if not self._complained:
            self._complained = True
            print(f"cannot write {self._path}: {error}", file=sys.stderr)  # noqa: T201 - the monitor's log

    def flush(self) -> None:
        """See `LogWriter.flush`; nothing is held back but unfinished lines."""

    def close(self) -> None:
        """See `LogWriter.close`."""
        stamp = timestamp(time.time_ns())
        for stream, rest in self._unfinished.items():
            if rest:
                self._write_lines([rest], stream, stamp)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _lines(data: bytes) -> list[bytes]:
    """Lines with their newline; those of more than 16 KiB in parts."""
    lines = data.split(b"\n")
    lines.pop()
    whole = [line + b"\n" for line in lines]
    if max(map(len, whole)) <= _LINE_LIMIT:
        return whole
    parts: list[bytes] = []
    for line in whole:
        while len(line) > _LINE_LIMIT + 1:
            cut = _character_end(line, _LINE_LIMIT)
            parts.append(line[:cut])
            line = line[cut:]
        parts.append(line)
    return parts


def _character_end(data: bytes, limit: int) -> int:
    """The last place up to `limit` where no UTF-8 sequence is cut."""
    for cut in range(limit, max(limit - 4, 0), -1):
        if cut >= len(data) or data[cut] & 0xC0 != 0x80:
            return cut
    return limit


def _compress(path: str, inode: int) -> None:
    """Replace a file by its compressed form, which says in its header which inode it was made of."""
    import gzip

    with (
        open(path, "rb") as source,
        open(f"{path}.tmp", "wb") as raw,
        gzip.GzipFile(str(inode), "wb", compresslevel=1, fileobj=raw) as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    os.replace(f"{path}.tmp", f"{path}.gz")
    os.unlink(path)


def timestamp(time_ns: int) -> str:
    """RFC 3339 with nanoseconds in UTC, without trailing zeros."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{nanoseconds:09d}".rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"
