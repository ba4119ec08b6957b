"""This file is about the members of a tar archive that comes in pieces: headers in, content through.

Bytes in, calls out: nothing is read or written here, and no more than a header, its extensions and a map of
holes is kept. Read are ustar, GNU and pax archives, as the layers of images are (image-spec, layer.md).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable
from typing import Protocol

import msgspec

from moby.core.errors import InvalidParameter
from moby.host.archives.sparse import Holes, mapped, old_holes, read_map

BLOCK = 512
EXTENSION_LIMIT = 1 << 20
MEMBERS_LIMIT = 5_000_000
# After its end an archive is padded, by some writers to whole megabytes.
PADDING_LIMIT = 256 << 20
_ID_LIMIT = (1 << 32) - 1
_SIZE_LIMIT = 1 << 62
_TIME_LIMIT = 1 << 62
_XATTR = b"SCHILY.xattr."
_EMPTY = bytes(BLOCK)
# Name, mode, user, group, size, time, checksum and kind; each number ends with a zero.
_PLAIN = struct.Struct("100s7sB7sB7sB11sB11sB6sBxc")
_FILES = frozenset("0\x007")
_HEADER_ONLY = frozenset("123456")


class Member(msgspec.Struct):
    """What a header says; times are nanoseconds since 1970, `kind` is a type flag from `0` to `6`.

    `size` is that of the file to be; `holes` tells where the content goes if it is not all of it.
    """

    name: str
    kind: str
    size: int
    mode: int
    uid: int
    gid: int
    modified: int
    accessed: int
    link: str = ""
    device: tuple[int, int] = (0, 0)
    attributes: dict[str, bytes] = msgspec.field(default_factory=dict)
    holes: Holes | None = None


class Taker(Protocol):
    """Takes members as they come."""

    def begin(self, member: Member) -> None:
        """A member; its content, if it has any, comes next."""
        ...

    def content(self, data: memoryview) -> None:
        """A piece of content."""
        ...

    def end(self) -> None:
        """The content is complete; not called for members without any."""
        ...


class MemberReader:
    """Reads one archive; raises InvalidParameter for what is none."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._rest = b""
        self._left = 0
        self._padding = 0
        self._take: Callable[[memoryview], None] = self._ignore
        self._done: Callable[[], None] = self._nothing
        self._collected = bytearray()
        self._records: dict[str, bytes] = {}
        self._pairs: list[tuple[str, bytes]] = []
        self._long: dict[str, str] = {}
        self._waiting: Member | None = None
        self._old: tuple[list[int], int] | None = None
        self._real = -1
        self._zeros = 0
        self._after = 0
        self._members = 0

    def feed(self, data: bytes | memoryview) -> None:
        """The next bytes; none of them is kept but what is copied."""
        view = memoryview(data)
        position, end = 0, len(data)
        if self._rest:
            # A block that came in two pieces; what follows it is not copied.
            position = BLOCK - len(self._rest)
            block, self._rest = self._rest + bytes(view[:position]), b""
            if len(block) < BLOCK:
                self._rest = block
                return
            self._block(block)
        while position < end:
            if self._left:
                size = min(self._left, end - position)
                self._take(view[position : position + size])
                position += size
                self._left -= size
                if not self._left:
                    self._done()
            elif self._padding:
                size = min(self._padding, end - position)
                position += size
                self._padding -= size
            elif self._zeros == 2:
                self._after += end - position
                if self._after > PADDING_LIMIT:
                    raise InvalidParameter(f"archive goes on for {PADDING_LIMIT} bytes after its end")
                position = end
            elif end - position < BLOCK:
                break
            else:
                self._block(bytes(view[position : position + BLOCK]))
                position += BLOCK
        self._rest = bytes(view[position:])

    def finish(self) -> None:
        """There is no more. Raises InvalidParameter in the middle of something."""
        if self._left or self._old or self._waiting or self._records or self._long or self._rest.strip(b"\0"):
            raise InvalidParameter("unexpected EOF in archive")

    def _ignore(self, _: memoryview) -> None:
        return

    def _nothing(self) -> None:
        return

    def _collect(self, data: memoryview) -> None:
        self._collected += data

    def _block(self, block: bytes) -> None:
        if self._old is not None:
            self._more_holes(block)
        elif block == _EMPTY:
            self._zeros += 1
        elif self._zeros:
            raise _bad("a header after the end")
        else:
            self._header(block)

    def _header(self, block: bytes) -> None:
        total = _sum(block) - sum(block[148:156]) + 8 * 32
        if not self._records and not self._long and (member := _plain_file(block, total)):
            self._count()
            self._content(member, member.size)
            return
        if _number(block[148:156]) != total:
            raise _bad()
        kind = chr(block[156])
        size = _number(block[124:136])
        if kind in "xgLK":
            if size > EXTENSION_LIMIT:
                raise InvalidParameter("archive/tar: header is too large")
            self._collected.clear()
            self._left, self._padding = size, -size % BLOCK
            self._take = self._collect
            self._done = {"x": self._pax, "g": self._nothing, "L": self._name, "K": self._link}[kind]
            if not size:
                self._done()
            return
        self._count()
        if kind == "S":
            self._waiting = self._member(block, "0", size)
            entries, extended = old_holes(block)
            self._old = (entries, size)
            if not extended:
                self._holes_known(_number(block[483:495]))
            else:
                self._waiting.size = _number(block[483:495])
            return
        self._begin(self._member(block, kind, size))

    def _count(self) -> None:
        self._members += 1
        if self._members > MEMBERS_LIMIT:
            raise InvalidParameter(f"archive has more than {MEMBERS_LIMIT} members")

    def _member(self, block: bytes, kind: str, size: int) -> Member:
        name, link = _text(block[:100]), _text(block[157:257])
        ustar = block[257:265] == b"ustar\x0000"
        if ustar and block[345]:
            name = f"{_text(block[345 : 476 if block[508:] == b'tar' + bytes(1) else 500])}/{name}"
        records, long = self._records, self._long
        name, link = long.get("name", name), long.get("link", link)
        member = Member(
            _text(records["path"]) if "path" in records else name,
            kind,
            _digits(records["size"]) if "size" in records else size,
            _number(block[100:108]) & 0o7777,
            _digits(records["uid"]) if "uid" in records else _number(block[108:116]),
            _digits(records["gid"]) if "gid" in records else _number(block[116:124]),
            _moment(records["mtime"]) if "mtime" in records else _seconds(block[136:148]),
            _moment(records["atime"]) if "atime" in records else 0,
            _text(records["linkpath"]) if "linkpath" in records else link,
        )
        if kind in "34":
            member.device = (_number(block[329:337]), _number(block[337:345]))
        if kind in "\x007":
            member.kind = "5" if kind == "\0" and member.name.endswith("/") else "0"
        if records:
            self._describe(member, records)
        if not member.name or "\0" in member.name + member.link or member.size >= _SIZE_LIMIT:
            raise _bad()
        if member.uid >= _ID_LIMIT or member.gid >= _ID_LIMIT:
            raise _bad("an owner that cannot be")
        self._records, self._long = {}, {}
        return member

    def _describe(self, member: Member, records: dict[str, bytes]) -> None:
        """What only pax records say: attributes, holes."""
        for key, value in records.items():
            if key.startswith("SCHILY.xattr."):
                member.attributes[key[len(_XATTR) :]] = value
        if "GNU.sparse.name" in records:
            member.name = _text(records["GNU.sparse.name"])
        if any(key.startswith("GNU.sparse.") for key in records) and member.kind == "0":
            real = records.get("GNU.sparse.realsize", records.get("GNU.sparse.size"))
            if records.get("GNU.sparse.major") == b"1" and records.get("GNU.sparse.minor") == b"0":
                self._real = _digits(real or b"")  # the map comes with the content
            elif real is not None:
                entries = mapped(records, self._pairs)
                member.holes = Holes(entries, _digits(real), member.size)
        self._pairs = []

    def _begin(self, member: Member) -> None:
        if member.kind in _HEADER_ONLY:
            member.size = 0
        elif member.kind not in _FILES:
            raise InvalidParameter(f"unhandled tar header type {member.kind!r}")
        if self._real >= 0:
            self._waiting = member
            self._collected.clear()
            self._take, self._done = self._collect, self._map
            self._map()
            return
        self._content(member, member.size)

    def _content(self, member: Member, stored: int) -> None:
        """`stored` bytes of content are next."""
        if member.holes is not None:
            member.size = member.holes.size
        self._left, self._padding = stored, -stored % BLOCK
        self._take, self._done = self._taker.content, self._taker.end
        self._taker.begin(member)
        if not stored and member.kind in _FILES:
            self._taker.end()

    def _map(self) -> None:
        """A block of the map that begins a sparse file's content (GNU.sparse 1.0)."""
        assert self._waiting is not None
        entries, used = read_map(self._collected)
        if entries is None:
            self._left = min(BLOCK, self._waiting.size - len(self._collected))
            if self._left <= 0 or len(self._collected) > EXTENSION_LIMIT:
                raise _bad("a map of holes that is cut off")
            return
        member, self._waiting = self._waiting, None
        stored = max(0, member.size - used)
        member.holes, self._real = Holes(entries, self._real, stored), -1
        self._content(member, stored)

    def _more_holes(self, block: bytes) -> None:
        """A block that goes on where an old GNU header had no more room."""
        assert self._old is not None
        assert self._waiting is not None
        entries, extended = old_holes(block, more=True)
        self._old[0].extend(entries)
        if len(self._old[0]) * 8 > EXTENSION_LIMIT:
            raise InvalidParameter("archive/tar: header is too large")
        if not extended:
            self._holes_known(self._waiting.size)

    def _holes_known(self, size: int) -> None:
        assert self._old is not None
        assert self._waiting is not None
        (entries, stored), self._old = self._old, None
        member, self._waiting = self._waiting, None
        member.holes = Holes(entries, size, stored)
        self._content(member, stored)

    def _name(self) -> None:
        self._long["name"] = _text(bytes(self._collected))

    def _link(self) -> None:
        self._long["link"] = _text(bytes(self._collected))

    def _pax(self) -> None:
        data = bytes(self._collected)
        position = 0
        while position < len(data):
            space = data.find(b" ", position, position + 20)
            length = data[position:space] if space >= 0 else b""
            if not length.isdigit():
                raise _bad()
            end = position + int(length)
            if end > len(data) or end <= space + 1 or data[end - 1] != 0x0A:
                raise _bad()
            key, equals, value = data[space + 1 : end - 1].partition(b"=")
            name = key.decode(errors="surrogateescape")
            if not equals or not name or b"\0" in key:
                raise _bad()
            if name in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
                self._pairs.append((name, value))
            if value or name.startswith("SCHILY.xattr."):
                self._records[name] = value
            else:
                self._records.pop(name, None)
            position = end


def _bad(why: str = "") -> InvalidParameter:
    return InvalidParameter(f"archive/tar: invalid tar header{': ' if why else ''}{why}")


def _sum(block: bytes) -> int:
    """The sum of a block's bytes, by what computes it fastest: in half a block it cannot overflow."""
    return (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2


def _plain_file(block: bytes, total: int) -> Member | None:
    """A file as nearly every one is described; None if there is more to its header, or something wrong."""
    name, mode, a, uid, b, gid, c, size, d, modified, e, announced, f, kind = _PLAIN.unpack_from(block)
    # Without signs and spaces, numbers of so few digits are within all limits.
    if a | b | c | d | e | f | block[345] or kind != b"0" or min(mode, uid, gid, size, modified) < b"0":
        return None
    try:
        if int(announced, 8) != total or not block[0]:
            return None
        return Member(
            name[: name.index(0)].decode(),
            "0",
            int(size, 8),
            int(mode, 8) & 0o7777,
            int(uid, 8),
            int(gid, 8),
            int(modified, 8) * 1_000_000_000,
            0,
        )
    except ValueError:
        return None


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="surrogateescape")


def _number(data: bytes, *, signed: bool = False) -> int:
    """A field of a header: octal digits, or bytes if the first bit is set."""
    if data[0] & 0x80:
        value = int.from_bytes(data, "big") & ((1 << (8 * len(data) - 1)) - 1)
        if data[0] & 0x40:
            value -= 1 << (8 * len(data) - 1)
            if not signed:
                raise _bad()
        if abs(value) >= 1 << 63:
            raise _bad()
        return value
    text = data.strip(b" \0").partition(b"\0")[0]
    try:
        value = int(text, 8) if text else 0
    except ValueError as error:
        raise _bad() from error
    if value < 0:
        raise _bad()
    return value


def _digits(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise _bad()
    return int(text)


def _seconds(data: bytes) -> int:
    return min(max(_number(data, signed=True) * 1_000_000_000, 0), _TIME_LIMIT)


def _moment(text: bytes) -> int:
    """`SECONDS.FRACTION` in nanoseconds."""
    whole, _, fraction = text.partition(b".")
    try:
        seconds = int(whole or b"0")
    except ValueError as error:
        raise _bad() from error
    if fraction and not fraction.isdigit():
        raise _bad()
    if abs(seconds) > _TIME_LIMIT or math.isinf(seconds):
        raise _bad()
    nanoseconds = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    total = seconds * 1_000_000_000 + (-nanoseconds if text.startswith(b"-") else nanoseconds)
    return min(max(total, 0), _TIME_LIMIT)
