"""This file is about `USER`: names looked up in the container's own passwd(5) and group(5).

The files come from the image, so that nothing in them is trusted: lines and numbers have limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from moby.core.errors import InvalidParameter

_LIMIT = (1 << 31) - 1
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
FILE_LIMIT = 10 << 20


class User(msgspec.Struct, frozen=True):
    """Whom the program runs as."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def resolve_user(text: str, passwd: bytes, group: bytes, extra: Sequence[str] = ()) -> User:
    """`USER[:GROUP]`, each by name or number, and `extra` groups. Raises InvalidParameter."""
    name, _, group_name = text.partition(":")
    number = _number(name) if name else 0
    uid, gid, home, known = 0, 0, "/", ""
    for fields in _lines(passwd, 7):
        listed = _number(fields[2])
        if listed is not None and ((name and fields[0] == name) or (number is not None and listed == number)):
            uid, gid, home, known = listed, _number(fields[3]) or 0, fields[5] or "/", fields[0]
            break
    else:
        if number is None:
            raise InvalidParameter(f"unable to find user {name}: no matching entries in passwd file")
        uid = _in_range(number)
    groups: list[int] = []
    if group_name:
        gid = _group(group_name, group)
    elif known:
        groups = [
            found
            for fields in _lines(group, 4)
            if known in fields[3].split(",") and (found := _number(fields[2])) is not None
        ]
    groups += [_group(one, group) for one in extra]
    return User(uid, gid, tuple(dict.fromkeys(groups)), home)


def _group(name: str, group: bytes) -> int:
    number = _number(name)
    for fields in _lines(group, 4):
        if fields[0] == name and (listed := _number(fields[2])) is not None:
            return listed
    if number is None:
        raise InvalidParameter(f"unable to find group {name}: no matching entries in group file")
    return _in_range(number)


def _number(text: str) -> int | None:
    """A user or group number; None for a name. In a file it may be out of range, if nobody asks for it."""
    return int(text) if _NUMBER.fullmatch(text) else None


def _in_range(number: int) -> int:
    if not 0 <= number <= _LIMIT:
        raise InvalidParameter(f"uids and gids must be in range 0-{_LIMIT}")
    return number


def _lines(data: bytes, fields: int) -> Iterator[list[str]]:
    for line in data[:FILE_LIMIT].decode("utf-8", "replace").splitlines():
        if line and not line.startswith("#"):
            yield (line.split(":") + [""] * fields)[:fields]
