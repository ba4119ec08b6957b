"""This file is about users and groups of a user namespace, and who they are outside (user_namespaces(7))."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moby.core.errors import InvalidParameter

# Whom the kernel shows where somebody has no number in a namespace.
OVERFLOW = 65534


class IdRange(msgspec.Struct, frozen=True):
    """`count` numbers from `inside` on are those from `outside` on."""

    inside: int
    outside: int
    count: int


class IdMap(msgspec.Struct, frozen=True):
    """Which numbers inside are which outside; without any range every number is itself, and it is false."""

    users: tuple[IdRange, ...] = ()
    groups: tuple[IdRange, ...] = ()

    def __bool__(self) -> bool:
        """Does it map anything?"""
        return bool(self.users or self.groups)

    @property
    def root(self) -> tuple[int, int]:
        """Who root and its group are outside."""
        return self.to_host(0, 0)

    def to_host(self, user: int, group: int) -> tuple[int, int]:
        """Who they are outside. Raises InvalidParameter for a number that the namespace does not have."""
        if not self:
            return user, group
        return _outside(self.users, user), _outside(self.groups, group)

    def to_container(self, user: int, group: int) -> tuple[int, int]:
        """Who they are inside; whoever is nobody there is the overflow user."""
        if not self:
            return user, group
        return _inside(self.users, user), _inside(self.groups, group)


def _outside(ranges: Sequence[IdRange], number: int) -> int:
    for one in ranges:
        if one.inside <= number < one.inside + one.count:
            return one.outside + number - one.inside
    raise InvalidParameter(f"Container ID {number} cannot be mapped to a host ID")


def _inside(ranges: Sequence[IdRange], number: int) -> int:
    for one in ranges:
        if one.outside <= number < one.outside + one.count:
            return one.inside + number - one.outside
    return OVERFLOW


NO_MAP = IdMap()
