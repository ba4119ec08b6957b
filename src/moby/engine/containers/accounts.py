"""This file is about the passwd(5) and group(5) of a container, in which its user's name is looked up."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from moby.host.mounts import open_beneath

_FILE_LIMIT = 10 << 20


def read_accounts(root: Path) -> tuple[bytes, bytes]:
    """Both files of a tree; empty where there is none."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _read_file(directory, "/etc/passwd"), _read_file(directory, "/etc/group")
    finally:
        os.close(directory)


def _read_file(root: int, path: str) -> bytes:
    """A regular file of the image, or nothing: never a FIFO that would hold us up (CVE-2024-9676)."""
    try:
        descriptor = open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return file.read(_FILE_LIMIT)
