"""This file is about removing a tree that somebody else may be changing, however deep it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 4096


def remove_tree(parent: int, name: str) -> None:
    """Remove a directory and all below it, by descriptors; no link is followed. Raises OSError.

    A file that took a directory's place meanwhile is removed as well.
    """
    try:
        opened = [_opened(parent, name)]
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        return
    try:
        while opened:
            last, directory, names = opened[-1]
            if (deeper := _remove_files(directory, names)) is not None:
                if len(opened) >= _DEEPEST:
                    raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)
                opened.append(_opened(directory, deeper))
                continue
            os.close(opened.pop()[1])
            os.rmdir(last, dir_fd=opened[-1][1] if opened else parent)
    finally:
        for _, directory, _ in opened:
            os.close(directory)


def _opened(parent: int, name: str) -> tuple[str, int, Iterator[str]]:
    directory = os.open(name, _DIRECTORY, dir_fd=parent)
    return name, directory, iter(os.listdir(directory))


def _remove_files(directory: int, names: Iterator[str]) -> str | None:
    """Remove everything up to the first directory; its name."""
    for name in names:
        try:
            os.unlink(name, dir_fd=directory)
        except IsADirectoryError:
            return name
    return None
