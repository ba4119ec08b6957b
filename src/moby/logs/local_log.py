"""This file is about the log that dockerd calls `local`: compact; the cache beside others too."""

from __future__ import annotations

import os
from collections.abc import Mapping

from moby.core.errors import InvalidParameter
from moby.core.logs import LogInfo, Stream
from moby.logs.entries import Torn, attributes_field, boundaries, cut, encode, encode_lines
from moby.logs.lines import LineWriter, Message, slices
from moby.logs.options import ATTRIBUTE_OPTIONS, attributes, parse_bool, parse_human_size, parse_int
from moby.logs.rotation import RotatedFile, Rotation

OPTIONS = ATTRIBUTE_OPTIONS | {"max-size", "max-file", "compress"}
_SIZE = 20 * 1024 * 1024
_FILES = 5


def rotation(options: Mapping[str, str]) -> Rotation:
    """What the options say of it. Raises InvalidParameter."""
    size, files, compress = _SIZE, _FILES, True
    if (text := options.get("max-size")) is not None:
        try:
            size = parse_human_size(text)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid value for max-size: {text}: {error.message}") from error
    if (text := options.get("max-file")) is not None:
        try:
            files = parse_int(text)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid value for max-file: {text}: {error.message}") from error
        if files < 0:
            raise InvalidParameter("max-file must not be negative")
    if (text := options.get("compress")) is not None:
        try:
            compress = parse_bool(text)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid boolean value for compress: {error.message}") from error
    if compress and files <= 1:
        raise InvalidParameter("compression cannot be enabled when max file count is 1")
    return Rotation(size, max(files, 1), compress)


class LocalLog(LineWriter):
    """Writes entries, all of a chunk at once."""

    def __init__(self, path: str, info: LogInfo) -> None:
        super().__init__()
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._attributes = attributes_field(attributes(info))
        self._file = RotatedFile(path, rotation(info.options), _cut_torn_entry)

    def write(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """See `LogWriter.write`; nearly all output is short lines, which need not become messages first."""
        self._latest = time_ns
        for piece in slices(data):
            lines = self._lines.plain(stream, piece)
            if lines is None:
                super().write(stream, piece, time_ns)
            elif lines:
                self._file.put(encode_lines(lines, stream, time_ns, self._attributes), cut)

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`."""
        self._file.put(encode(messages, self._attributes), cut)

    def release(self) -> None:
        """See `LineWriter.release`."""
        self._file.close()


def _cut_torn_entry(descriptor: int, path: str, size: int) -> int:
    """A killed writer or a full disk may have left half an entry, after which no other could be found."""
    footer = os.pread(descriptor, 4, max(size - 4, 0))
    start = size - 8 - int.from_bytes(footer, "big")
    if start >= 0 and os.pread(descriptor, 4, start) == footer:
        return size
    end = at = 0
    rest = b""
    while block := os.pread(descriptor, 1 << 20, at):
        at += len(block)
        data = rest + block
        whole, torn = 0, False
        try:
            for _, stop in boundaries(data):
                whole = stop
        except Torn:
            torn = True
        end += whole
        rest = data[whole:]
        if torn:
            break
    os.ftruncate(descriptor, end)
    return end
