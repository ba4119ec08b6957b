"""This file is about what comes before a file's content in a tar archive: its header, made quickly."""

from __future__ import annotations

import os
import stat
import struct
import tarfile

_LAYOUT = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s167x")
_BLANK = b" " * 8
_MAGIC = b"ustar\x0000"
_XATTR = "SCHILY.xattr."
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}
_IDS, _LENGTHS, _DEVICES = 8**7, 8**11, 8**7


def header(
    name: str,
    found: os.stat_result,
    *,
    size: int = 0,
    link: str = "",
    hard: bool = False,
    attributes: dict[str, bytes] | None = None,
    owner: tuple[int, int] | None = None,
) -> bytes:
    """The header of what `found` describes; `link` is what it leads to, as a hard link if that is `hard`.

    `owner` is named instead of its own. A plain one where that can say everything, one with pax records
    where it cannot.
    """
    kind = tarfile.LNKTYPE if hard else _KINDS[stat.S_IFMT(found.st_mode)]
    shown = f"{name}/" if kind == tarfile.DIRTYPE and not name.endswith("/") else name
    moment = max(0, int(found.st_mtime))
    device = found.st_rdev if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE) else 0
    major, minor = os.major(device), os.minor(device)
    plain = shown.isascii() and link.isascii() and len(shown) <= 100 and len(link) <= 100 and not attributes
    user, group = owner or (found.st_uid, found.st_gid)
    mode = stat.S_IMODE(found.st_mode)
    if plain and max(user, group) < _IDS and max(size, moment) < _LENGTHS:
        return _plain(shown, (mode, user, group), kind, size, moment, link, major, minor)
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = mode, user, group
    info.type, info.size, info.mtime, info.linkname = kind, size, moment, link
    info.devmajor, info.devminor = major, minor
    info.pax_headers = {
        f"{_XATTR}{key}": value.decode(errors="surrogateescape") for key, value in (attributes or {}).items()
    }
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _plain(
    name: str,
    numbers: tuple[int, int, int],
    kind: bytes,
    size: int,
    moment: int,
    link: str,
    major: int,
    minor: int,
) -> bytes:
    fields = [
        name.encode(),
        *(b"%07o" % number for number in numbers),
        b"%011o" % size,
        b"%011o" % moment,
        _BLANK,
        kind,
        link.encode(),
        _MAGIC,
        b"",
        b"",
        b"%07o" % major,
        b"%07o" % minor,
    ]
    total = sum(_LAYOUT.pack(*fields))
    fields[6] = b"%06o\0 " % total
    return _LAYOUT.pack(*fields)


def marker(name: str) -> bytes:
    """The header of an empty file that nothing is known of but its name."""
    info = tarfile.TarInfo(name)
    info.mode = 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """What follows content of that size."""
    return bytes(-size % tarfile.BLOCKSIZE)


END = bytes(2 * tarfile.BLOCKSIZE)
