"""This file is about sparse files in tar archives: where their content goes, and where the holes are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from moby.core.errors import InvalidParameter

_ENTRIES_LIMIT = 1 << 17


class Holes:
    """Where the `stored` bytes of a file of `size` bytes go: `entries` are offsets and lengths by turns.

    Raises InvalidParameter if they cannot be.
    """

    def __init__(self, entries: Sequence[int], size: int, stored: int) -> None:
        self.size = size
        self._pieces = _pieces(entries)
        end = 0
        for offset, length in self._pieces:
            if offset < end or offset + length > size:
                raise _bad()
            end = offset + length
        if sum(length for _, length in self._pieces) != stored or size >= 1 << 62:
            raise _bad()
        self._next: Iterator[tuple[int, int]] = (piece for piece in self._pieces if piece[1])
        self._at = self._left = 0

    def place(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """What comes next, and where it goes."""
        while data:
            if not self._left:
                self._at, self._left = next(self._next)
            part = data[: self._left]
            yield self._at, part
            self._at += len(part)
            self._left -= len(part)
            data = data[len(part) :]


def _bad() -> InvalidParameter:
    return InvalidParameter("archive/tar: invalid tar header: a map of holes that cannot be")


def _pieces(entries: Sequence[int]) -> list[tuple[int, int]]:
    if len(entries) % 2 or len(entries) > _ENTRIES_LIMIT:
        raise _bad()
    return list(zip(entries[::2], entries[1::2], strict=True))


def _digits(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise _bad()
    return int(text)


def mapped(records: Mapping[str, bytes], pairs: Sequence[tuple[str, bytes]]) -> list[int]:
    """The map that pax records hold (GNU.sparse 0.0 and 0.1)."""
    if "GNU.sparse.map" in records:
        return [_digits(text) for text in records["GNU.sparse.map"].split(b",")]
    turns = ("GNU.sparse.offset", "GNU.sparse.numbytes")
    if any(name != turns[number % 2] for number, (name, _) in enumerate(pairs)):
        raise _bad()
    return [_digits(value) for _, value in pairs]


def read_map(data: bytes | bytearray) -> tuple[list[int] | None, int]:
    """The map at the start of a file's content (1.0) and the bytes that it takes; None if there is more."""
    first, end, _ = bytes(data[:32]).partition(b"\n")
    if not end:
        if len(data) >= 32:
            raise _bad()
        return None, 0
    count = _digits(first)
    if 2 * count > _ENTRIES_LIMIT:
        raise _bad()
    if data.count(b"\n") <= 2 * count:
        return None, 0
    lines = bytes(data).split(b"\n", 2 * count + 1)
    used = len(data) - len(lines[-1])
    return [_digits(number) for number in lines[1:-1]], used + -used % 512


def old_holes(block: bytes, *, more: bool = False) -> tuple[list[int], bool]:
    """The entries in an old GNU header, or in a block that goes on with it; is there another one?"""
    start, count, flag = (0, 21, 504) if more else (386, 4, 482)
    found = []
    for at in range(start, start + 24 * count, 24):
        if block[at] == 0:
            break
        found += [_octal(block[at : at + 12]), _octal(block[at + 12 : at + 24])]
    return found, block[flag] != 0


def _octal(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError as error:
        raise _bad() from error
