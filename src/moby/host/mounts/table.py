"""This file is about what is mounted where: /proc/self/mountinfo (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

_ESCAPE = re.compile(r"\\([0-7]{3})")


class MountEntry(msgspec.Struct, frozen=True):
    """One mount; `peers` and `master` are numbers of peer groups, 0 for none."""

    id: int
    parent: int
    device: str
    root: str
    target: str
    options: tuple[str, ...]
    peers: int
    master: int
    type: str
    source: str
    super_options: tuple[str, ...]

    @property
    def shared(self) -> bool:
        """Does it pass on what is mounted below it?"""
        return self.peers != 0

    @property
    def slave(self) -> bool:
        """Does it receive what is mounted elsewhere?"""
        return self.master != 0


def parse_mountinfo(text: str) -> Iterator[MountEntry]:
    """The mounts in the order of the file, in which a later one hides an earlier one at the same place."""
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if not separator or len(fields) < 6 or len(rest) < 2:
            continue
        tags = dict(field.partition(":")[::2] for field in fields[6:])
        yield MountEntry(
            id=int(fields[0]),
            parent=int(fields[1]),
            device=fields[2],
            root=_plain(fields[3]),
            target=_plain(fields[4]),
            options=tuple(fields[5].split(",")),
            peers=int(tags.get("shared") or 0),
            master=int(tags.get("master") or 0),
            type=rest[0],
            source=_plain(rest[1]),
            super_options=tuple(rest[2].split(",")) if len(rest) > 2 else (),
        )


def _plain(word: str) -> str:
    """A path without the file's escapes."""
    if "\\" not in word:
        return word
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), word)


def mount_table() -> list[MountEntry]:
    """Every mount that we see."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return list(parse_mountinfo(file.read()))


def is_mount_point(path: Path) -> bool:
    """Is something mounted exactly there? Unlike os.path.ismount this knows binds within a file system."""
    found = os.path.realpath(path)
    return any(entry.target == found for entry in mount_table())


def mount_of(path: Path) -> MountEntry:
    """The mount that `path`, links followed, is on."""
    found = os.path.realpath(path)
    best: MountEntry | None = None
    for entry in mount_table():
        inside = entry.target == "/" or found == entry.target or found.startswith(f"{entry.target}/")
        if inside and (best is None or len(entry.target) >= len(best.target)):
            best = entry
    assert best is not None, "everything is on some mount"
    return best
