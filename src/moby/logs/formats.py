"""This file is about how a log's entries lie in its files: JSON lines, or frames with their length."""

from __future__ import annotations

import os
from collections import deque
from typing import BinaryIO, Protocol

import msgspec

from moby.core.logs import LogEntry
from moby.logs.entries import AROUND, Decoder, Torn, boundaries

_BLOCK = 1 << 16


class Format(Protocol):
    """A way to lay entries one after the other."""

    def decode(self, data: bytes) -> tuple[list[LogEntry], int]:
        """The whole entries in `data`, and where the rest begins. What a crash tore is left out."""
        ...

    def seek_back(self, file: BinaryIO, count: int, *, compressed: bool) -> int:
        """Go to where the last `count` whole entries begin; how many there were (at most `count`)."""
        ...


class JsonLines(Format):
    """A JSON object a line."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(LogEntry)

    def decode(self, data: bytes) -> tuple[list[LogEntry], int]:
        """See `Format.decode`."""
        end = data.rfind(b"\n") + 1
        try:
            return self._decoder.decode_lines(memoryview(data)[:end]), end
        except msgspec.MsgspecError:
            return self._whole_lines(data[:end]), end

    def _whole_lines(self, data: bytes) -> list[LogEntry]:
        found = []
        for line in data.splitlines():
            try:
                found.append(self._decoder.decode(line))
            except msgspec.MsgspecError:
                continue
        return found

    def seek_back(self, file: BinaryIO, count: int, *, compressed: bool) -> int:
        """See `Format.seek_back`."""
        position = file.seek(0, os.SEEK_END)
        if count <= 0:
            return 0
        found = -1
        while position > 0:
            start = max(0, position - _BLOCK)
            file.seek(start)
            data = file.read(position - start)
            lines = data.count(b"\n")
            if found + lines >= count:
                at = len(data)
                for _ in range(count - found):
                    at = data.rfind(b"\n", 0, at)
                file.seek(start + at + 1)
                return count
            found += lines
            position = start
        file.seek(0)
        return found + 1


class Frames(Format):
    """The `local` log's entries."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def decode(self, data: bytes) -> tuple[list[LogEntry], int]:
        """See `Format.decode`; after torn bytes nothing says where the next entry begins."""
        found: list[LogEntry] = []
        end = 0
        try:
            for start, stop in boundaries(data):
                found.append(self._decoder.decode(data[start + 4 : stop - 4]))
                end = stop
        except Torn:
            return found, len(data)
        return found, end

    def seek_back(self, file: BinaryIO, count: int, *, compressed: bool) -> int:
        """See `Format.seek_back`."""
        end = file.seek(0, os.SEEK_END)
        if count <= 0:
            return 0
        starts: deque[int] = deque(maxlen=count)
        if compressed or not _backwards(file, end, starts):
            starts.clear()
            _forwards(file, starts)
        file.seek(starts[0] if starts else end)
        return len(starts)


def _backwards(file: BinaryIO, end: int, starts: deque[int]) -> bool:
    """Find the last entries by the length after each; False if the end is torn, or just being written."""
    begin, data = end, b""

    def length_at(offset: int) -> int:
        nonlocal begin, data
        if not begin <= offset <= begin + len(data) - 4:
            begin = max(0, offset + 4 - _BLOCK)
            file.seek(begin)
            data = file.read(offset + 4 - begin)
        return int.from_bytes(data[offset - begin : offset - begin + 4], "big")

    while end > 0 and len(starts) != starts.maxlen:
        if end < AROUND:
            return False
        length = length_at(end - 4)
        start = end - AROUND - length
        if start < 0 or length_at(start) != length:
            return False
        starts.appendleft(start)
        end = start
    return True


def _forwards(file: BinaryIO, starts: deque[int]) -> None:
    """Find the last entries by going through all."""
    file.seek(0)
    at, rest = 0, b""
    while block := file.read(_BLOCK):
        data = rest + block
        end = 0
        try:
            for start, stop in boundaries(data):
                starts.append(at + start)
                end = stop
        except Torn:
            return
        at += end
        rest = data[end:]
