"""This file is about the directories that an overlay is made of, as its mount options name them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from moby.core.snapshots import Mount
from moby.host.mounts.paths import open_without_links

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "trusted.overlay.opaque"
_COLON = re.compile(r"(?<!\\):")


class Overlay(msgspec.Struct, frozen=True):
    """What is written to goes to `upper`; `lowers` are seen through it, the topmost first."""

    upper: Path
    lowers: tuple[Path, ...] = ()


def overlay_of(mounts: Sequence[Mount]) -> Overlay | None:
    """What a snapshot's mounts are as an overlay; None if they are no writable one on this machine.

    A snapshot without a parent is a single directory, bound.
    """
    if len(mounts) != 1:
        return None
    mount = mounts[0]
    if mount.type == "bind" and "ro" not in mount.options:
        return Overlay(Path(mount.source)) if os.path.isdir(mount.source) else None
    if mount.type != "overlay" or "userxattr" in mount.options:
        return None
    options = dict(option.split("=", 1) for option in mount.options if "=" in option)
    upper, lower = options.get("upperdir", ""), options.get("lowerdir", "")
    if not upper or not lower or not os.path.isdir(upper):
        return None
    return Overlay(Path(upper), tuple(Path(part.replace("\\:", ":")) for part in _COLON.split(lower)))


def in_first_user_namespace() -> bool:
    """Are numbers of users the machine's own? Elsewhere no whiteouts can be made."""
    try:
        return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    except OSError:
        return True


def describe_as_below(overlay: Overlay, implied: Mapping[int, str]) -> None:
    """Give directories of `upper` (paths by inode) owner, mode, attributes and times of those they hide.

    What is nowhere below stays as it is. Raises OSError.
    """
    if not implied or not overlay.lowers:
        return
    with ExitStack() as stack:
        roots = []
        for place in (overlay.upper, *overlay.lowers):
            roots.append(os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            stack.callback(os.close, roots[-1])
        # The deepest first: a directory's times are not those of what is made in it.
        for inode, path in sorted(implied.items(), key=lambda each: -each[1].count("/")):
            with ExitStack() as opened:
                try:
                    own = open_without_links(roots[0], path, _DIRECTORY)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                opened.callback(os.close, own)
                if os.fstat(own).st_ino != inode:
                    continue
                below = _find(roots[1:], path)
                if below is not None:
                    opened.callback(os.close, below)
                    _copy(below, own)


def _find(roots: Sequence[int], path: str) -> int | None:
    """The topmost directory of that path that is not hidden by what is above it."""
    for root in roots:
        steps = path.split("/")
        for number in range(1, len(steps) + 1):
            here = "/".join(steps[:number])
            try:
                found = open_without_links(root, here, os.O_PATH | os.O_NOFOLLOW)
            except FileNotFoundError:
                break
            try:
                if not stat.S_ISDIR(os.fstat(found).st_mode):
                    return None  # a whiteout, or something else in its place
                if number == len(steps):
                    return open_without_links(root, here, _DIRECTORY)
            finally:
                os.close(found)
        if _is_opaque(root, steps):
            return None
    return None


def _is_opaque(root: int, steps: Sequence[str]) -> bool:
    """Does this layer hide all below it on the way to a path?"""
    for number in range(1, len(steps)):
        try:
            found = open_without_links(root, "/".join(steps[:number]), _DIRECTORY)
        except OSError:
            return False
        try:
            if os.getxattr(found, _OPAQUE) == b"y":
                return True
        except OSError:
            continue
        finally:
            os.close(found)
    return False


def _copy(source: int, target: int) -> None:
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
