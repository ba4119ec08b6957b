"""This file is about json-file, the default log: a JSON object a line, in a file beside the container."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogEntry, LogInfo, LogReader, LogWriter, Stream
from moby.logs.lines import LINE_LIMIT, character_end
from moby.logs.moments import timestamp
from moby.logs.options import ATTRIBUTE_OPTIONS, attributes, parse_count, parse_flag, parse_human_size
from moby.logs.rotation import RotatedFile, Rotation, remove_files

_OPTIONS = ATTRIBUTE_OPTIONS | {"max-size", "max-file", "compress"}


class JsonFile(LogDriver):
    """Keeps a log as `<id>-json.log`, with older parts as `.1`, `.2` (the higher the older)."""

    name = "json-file"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            if option not in _OPTIONS:
                raise InvalidParameter(f"unknown log opt '{option}' for json-file log driver")
        rotation = _rotation(options)
        if rotation.compress and (rotation.files < 2 or not rotation.size):
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
        from moby.logs.formats import JsonLines
        from moby.logs.reading import FileReader

        return FileReader(log_path(info), JsonLines(), files=_rotation(info.options).files)

    def empty(self, info: LogInfo) -> bool:
        """See `LogDriver.empty`."""
        remove_files(log_path(info))
        return True


def log_path(info: LogInfo) -> str:
    """Where a container's log is."""
    return f"{info.directory}/{info.container_id}-json.log"


def _rotation(options: Mapping[str, str]) -> Rotation:
    text = options.get("max-size", "")
    size = 0 if text in ("", "-1") else parse_human_size(text)
    if text and text != "-1" and size <= 0:
        raise InvalidParameter(f"max-size must be a positive number: {text}")
    files = parse_count("max-file", options.get("max-file", "1"))
    return Rotation(size, files, parse_flag("compress", options.get("compress", "false")))


class JsonFileWriter(LogWriter):
    """Writes whole lines as they are complete, all lines of a chunk in one write, with one time stamp.

    A line of more than 16 KiB becomes several entries, of which only the last ends with a newline.
    """

    def __init__(self, info: LogInfo) -> None:
        self._file = RotatedFile(log_path(info), _rotation(info.options), _end_torn_line)
        found = attributes(info)
        self._attrs = found or msgspec.UNSET
        self._encoder = msgspec.json.Encoder()
        self._unfinished: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

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
        while len(rest) > LINE_LIMIT:
            cut = character_end(rest, LINE_LIMIT)
            self._write_lines([rest[:cut]], stream, stamp)
            rest = rest[cut:]
        self._unfinished[stream] = rest

    def _write_lines(self, lines: list[bytes], stream: Stream, stamp: str) -> None:
        attrs = self._attrs
        entries = [LogEntry(line.decode("utf-8", "replace"), stream, stamp, attrs) for line in lines]
        self._file.put(self._encoder.encode_lines(entries), _entries)

    def flush(self) -> None:
        """See `LogWriter.flush`; nothing is held back but unfinished lines."""

    def close(self) -> None:
        """See `LogWriter.close`."""
        stamp = timestamp(time.time_ns())
        for stream, rest in self._unfinished.items():
            if rest:
                self._write_lines([rest], stream, stamp)
        self._file.close()


def _entries(block: bytes) -> Iterable[bytes]:
    return block.splitlines(keepends=True)


def _end_torn_line(descriptor: int, path: str, size: int) -> int:
    """A killed writer or a full disk may have left half a line: what comes now must not join it."""
    if os.pread(descriptor, 1, size - 1) != b"\n":
        size += os.write(descriptor, b"\n")
    return size


def _lines(data: bytes) -> list[bytes]:
    """Lines with their newline; those of more than 16 KiB in parts."""
    lines = data.split(b"\n")
    lines.pop()
    whole = [line + b"\n" for line in lines]
    if max(map(len, whole)) <= LINE_LIMIT:
        return whole
    parts: list[bytes] = []
    for line in whole:
        while len(line) > LINE_LIMIT + 1:
            cut = character_end(line, LINE_LIMIT)
            parts.append(line[:cut])
            line = line[cut:]
        parts.append(line)
    return parts
