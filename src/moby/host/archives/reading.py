"""This file is about reading somebody else's tar archive: strictly, in order, and in bounded memory."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import BinaryIO, Self, cast

from moby.core.errors import InvalidParameter

_BUFFER = 1 << 20
# What describes a member: its long name, its attributes.
_SPECIAL = (*b"xgXLK",)
_SPECIAL_LIMIT = 1 << 20


class _BadHeader(Exception):
    """A header that ends the reading; unlike tarfile's own, it is never taken for the end of the archive."""


class _Member(tarfile.TarInfo):
    """A header that is whole and right, or an error: tarfile takes a bad one for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.TruncatedHeaderError as error:  # type: ignore[attr-defined]
            raise _BadHeader("unexpected EOF") from error
        except (tarfile.InvalidHeaderError, tarfile.SubsequentHeaderError) as error:  # type: ignore[attr-defined]
            raise _BadHeader("archive/tar: invalid tar header") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0:
            raise _BadHeader("archive/tar: invalid tar header")
        if found.type[0] in _SPECIAL and found.size > _SPECIAL_LIMIT:
            raise _BadHeader("archive/tar: header is too large")
        return found


def read_members(source: BinaryIO, take: Callable[[tarfile.TarFile, tarfile.TarInfo], None]) -> None:
    """Give each member to `take`, with the archive to read its content from.

    Nothing at all is an empty archive. Raises InvalidParameter for what is no archive, or not all of one,
    also when `take` fails on what the archive says.
    """
    started = _Started(source)
    if not started.any:
        return
    try:
        with tarfile.open(
            fileobj=cast("BinaryIO", started),
            mode="r|",
            bufsize=_BUFFER,
            tarinfo=_Member,
            errors="surrogateescape",
        ) as archive:
            while (member := archive.next()) is not None:
                take(archive, member)
                # It remembers every one otherwise.
                archive.members.clear()  # type: ignore[attr-defined]
    except _BadHeader as error:
        raise InvalidParameter(str(error)) from error
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidParameter(f"unexpected EOF in archive: {error}") from error


class _Started:
    """A stream of which we know whether there is anything in it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._start = source.read(tarfile.BLOCKSIZE)
        self.any = bool(self._start)

    def read(self, size: int) -> bytes:
        found, self._start = self._start[:size], self._start[size:]
        return found or self._source.read(size)
