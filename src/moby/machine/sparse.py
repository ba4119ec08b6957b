"""This file is about disks that are mostly empty: where something is in them, and archives of them.

What counts as empty is 64 KiB of zeros, wherever a file system has its holes.
"""

from __future__ import annotations

import errno
import os
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

PIECE = 1 << 16
# In an archive's header, and in each block that goes on with it (GNU tar's manual, "Old GNU Format").
_ENTRIES, _MORE_ENTRIES = 4, 21
_MAP_AT, _MORE_AT, _SIZE_AT, _SUM_AT = 386, 482, 483, 148


def pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every piece of a file that is not all zeros, with its offset. Holes are not read."""
    with path.open("rb") as file:
        position = 0
        while True:
            try:
                found = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                raise
            position = found // PIECE * PIECE
            file.seek(position)
            chunk = file.read(PIECE)
            if not chunk:
                return
            if chunk.count(0) != len(chunk):
                yield position, chunk
            position += len(chunk)


def sparse_archive(path: Path, name: str, moment: int = 0) -> Iterator[bytes]:
    """A tar archive of one file, without what is empty in it: as `tar --format=oldgnu -S` writes it."""
    size = path.stat().st_size
    runs: list[list[int]] = []
    for offset, chunk in pieces(path):
        if runs and sum(runs[-1]) == offset:
            runs[-1][1] += len(chunk)
        else:
            runs.append([offset, len(chunk)])
    stored = sum(length for _offset, length in runs)
    if not runs or sum(runs[-1]) < size:
        runs.append([size, 0])
    yield from _headers(name, runs, size, stored, moment)
    for _offset, chunk in pieces(path):
        yield chunk
    yield bytes(-stored % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def _headers(name: str, runs: list[list[int]], size: int, stored: int, moment: int) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime, info.mode = tarfile.GNUTYPE_SPARSE, stored, moment, 0o644
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    entries = [_number(offset) + _number(length) for offset, length in runs]
    first = b"".join(entries[:_ENTRIES])
    header[_MAP_AT : _MAP_AT + len(first)] = first
    header[_MORE_AT] = len(entries) > _ENTRIES
    struct.pack_into("12s", header, _SIZE_AT, _number(size))
    header[_SUM_AT : _SUM_AT + 8] = b" " * 8
    header[_SUM_AT : _SUM_AT + 8] = b"%06o\0 " % sum(header)
    yield bytes(header)
    for start in range(_ENTRIES, len(entries), _MORE_ENTRIES):
        block = b"".join(entries[start : start + _MORE_ENTRIES])
        more = len(entries) > start + _MORE_ENTRIES
        yield block.ljust(_MORE_ENTRIES * 24, b"\0") + bytes([more]) + bytes(7)


def _number(value: int) -> bytes:
    """As archives hold it: octal, or from 8 GiB on binary, which a set bit tells."""
    return b"%011o\0" % value if value < 8**11 else b"\x80" + value.to_bytes(11, "big")
