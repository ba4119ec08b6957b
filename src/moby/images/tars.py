"""This file is about tar archives as streams: a reader that is fed bytes, and headers to write; no I/O.

`TarReader.feed` gives events in order: an `Entry`, then its content as `bytes`, then the next. Names are
normalised and never leave the archive; what is no regular file, directory or link is left out. Limits guard
against headers that grow without end.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

import msgspec

from moby.core.errors import InvalidParameter

BLOCK = 512
ENTRIES_LIMIT = 200_000
_EXTRA_LIMIT = 1 << 20
_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"5": "directory", b"1": "link", b"2": "symlink"}


class Entry(msgspec.Struct, frozen=True):
    """A member of an archive; `target` is the name that a link means, inside the archive."""

    name: str
    kind: str
    size: int
    target: str = ""


class TarReader:
    """Reads ustar, GNU and pax archives as they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0
        self._padding = 0
        self._extra = b""
        self._extra_data = bytearray()
        self._long: dict[str, str] = {}
        self._pass_on = False
        self._entries = 0
        self.ended = False

    def feed(self, data: bytes) -> Iterator[Entry | bytes]:
        """What `data` completes. Raises InvalidParameter; after the end marker everything is ignored."""
        if self.ended:
            return
        if self._left and self._pass_on and not self._extra and not self._buffer:
            # Most of an archive is content, which needs no copy.
            chunk = data[: self._left]
            self._left -= len(chunk)
            yield chunk
            data = data[len(chunk) :]
        self._buffer += data
        while not self.ended:
            if self._left:
                if not self._buffer:
                    return
                chunk = bytes(self._buffer[: self._left])
                del self._buffer[: len(chunk)]
                self._left -= len(chunk)
                if self._extra:
                    self._extra_data += chunk
                    if not self._left:
                        self._take_extra()
                elif self._pass_on:
                    yield chunk
            elif self._padding:
                if len(self._buffer) < self._padding:
                    return
                del self._buffer[: self._padding]
                self._padding = 0
            else:
                if len(self._buffer) < BLOCK:
                    return
                header = bytes(self._buffer[:BLOCK])
                del self._buffer[:BLOCK]
                if (entry := self._header(header)) is not None:
                    yield entry

    def finish(self) -> None:
        """There is no more. Raises InvalidParameter in the middle of a member."""
        if not self.ended and (self._left or self._extra or len(self._buffer) >= BLOCK):
            raise InvalidParameter("unexpected EOF in archive")

    def _header(self, block: bytes) -> Entry | None:
        if block == bytes(BLOCK):
            self.ended = True
            return None
        if _number(block[148:156]) != sum(block[:148]) + sum(block[156:]) + 8 * 32:
            raise InvalidParameter("archive/tar: invalid tar header")
        self._entries += 1
        if self._entries > ENTRIES_LIMIT:
            raise InvalidParameter(f"archive has more than {ENTRIES_LIMIT} entries")
        kind, size = block[156:157], _number(block[124:136])
        if kind in (b"x", b"g", b"L", b"K"):
            if size > _EXTRA_LIMIT:
                raise InvalidParameter("archive/tar: header is too large")
            self._extra, self._left, self._padding = kind, size, -size % BLOCK
            if not size:
                self._take_extra()
            return None
        return self._entry(block, _KINDS.get(kind, ""), size)

    def _entry(self, block: bytes, kind: str, size: int) -> Entry | None:
        long, self._long = self._long, {}
        name, target = _text(block[:100]), _text(block[157:257])
        if block[257:263] == b"ustar\0" and block[345] and not long.get("path"):
            name = f"{_text(block[345:500])}/{name}"
        name, target = long.get("path", name), long.get("linkpath", target)
        if "size" in long:
            if not long["size"].isdigit():
                raise InvalidParameter("archive/tar: invalid tar header")
            size = int(long["size"])
        if kind in ("directory", "link", "symlink"):
            size = 0
        self._left, self._padding = size, -size % BLOCK
        self._pass_on = kind == "file"
        if not kind:
            return None
        if "\0" in name or not name:
            raise InvalidParameter("archive/tar: invalid tar header")
        clean = inside(name)
        if kind == "link":
            target = inside(target)
        elif kind == "symlink":
            target = inside(posixpath.join(posixpath.dirname(clean), target))
        return Entry(clean, kind, size, target if kind in ("link", "symlink") else "")

    def _take_extra(self) -> None:
        kind, data = self._extra, bytes(self._extra_data)
        self._extra = b""
        self._extra_data.clear()
        if kind in (b"L", b"K"):
            self._long["path" if kind == b"L" else "linkpath"] = _text(data)
        elif kind == b"x":
            self._long.update(_records(data))


def inside(name: str) -> str:
    """A name without any way out of the archive. Raises InvalidParameter if it leads out."""
    clean = posixpath.normpath("/" + name).lstrip("/")
    if ".." in name.split("/") and posixpath.normpath(name.lstrip("/")).split("/")[0] == "..":
        raise InvalidParameter(f"invalid archive: {name[:200]!r} leads out of it")
    return clean


def _records(data: bytes) -> dict[str, str]:
    found = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        length = data[position:space] if space >= 0 else b""
        if not length.isdigit() or int(length) <= space - position or position + int(length) > len(data):
            raise InvalidParameter("archive/tar: invalid tar header")
        end = position + int(length)
        key, _, value = data[space + 1 : end - 1].partition(b"=")
        found[key.decode(errors="replace")] = value.decode(errors="surrogateescape")
        position = end
    return found


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if value >= 1 << 62:
            raise InvalidParameter("archive/tar: invalid tar header")
        return value
    text = field.strip(b" \0")
    try:
        value = int(text, 8) if text else 0
    except ValueError as error:
        raise InvalidParameter("archive/tar: invalid tar header") from error
    if value < 0:
        raise InvalidParameter("archive/tar: invalid tar header")
    return value


def header(name: str, size: int, *, directory: bool = False, mtime: int = 0) -> bytes:
    """The header of a member, the same for the same content; names here are short."""
    encoded = name.encode()
    assert len(encoded) <= 100
    length = f"{size:011o}\0".encode() if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    block = bytearray(BLOCK)
    block[: len(encoded)] = encoded
    block[100:108] = b"0000755\0" if directory else b"0000644\0"
    block[108:124] = b"0000000\0" * 2
    block[124:136] = length
    block[136:148] = f"{mtime:011o}\0".encode()
    block[148:156] = b" " * 8
    block[156:157] = b"5" if directory else b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def padding(size: int) -> bytes:
    """What follows a member's content."""
    return bytes(-size % BLOCK)


END = bytes(2 * BLOCK)
