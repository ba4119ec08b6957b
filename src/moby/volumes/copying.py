"""This file is about filling a new volume with what the image has at its mount point."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from moby.core.errors import System
from moby.host.mounts import resolve_in_root
from moby.host.threads import blocking


async def copy_up(root: Path, path: str, volume: Path) -> None:
    """Copy the directory `path` of the tree `root` into an empty volume, with owners, modes and links.

    `path` is looked up inside `root`, wherever the image's links lead. Nothing happens if there is no such
    directory or the volume has something in it. Raises System.
    """
    try:
        await blocking(_copy_up, root, path, volume)
    except OSError as error:
        raise System(f"failed to populate volume: {error}") from error


def _copy_up(root: Path, path: str, volume: Path) -> None:
    if any(volume.iterdir()):
        return
    try:
        source = resolve_in_root(root, path)
    except OSError:
        return
    if not source.is_dir():
        return
    _copy_tree(source, volume, {})
    _copy_metadata(source, volume)


def _copy_tree(source: Path, target: Path, linked: dict[tuple[int, int], Path]) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            _copy_entry(entry, target / entry.name, linked)


def _copy_entry(entry: os.DirEntry[str], target: Path, linked: dict[tuple[int, int], Path]) -> None:
    found = entry.stat(follow_symlinks=False)
    here = Path(entry.path)
    if stat.S_ISDIR(found.st_mode):
        target.mkdir()
        _copy_tree(here, target, linked)
    elif found.st_nlink > 1 and (found.st_dev, found.st_ino) in linked:
        os.link(linked[found.st_dev, found.st_ino], target, follow_symlinks=False)
        return
    elif stat.S_ISLNK(found.st_mode):
        target.symlink_to(os.readlink(here))
    elif stat.S_ISREG(found.st_mode):
        shutil.copyfile(here, target, follow_symlinks=False)
    elif stat.S_ISFIFO(found.st_mode):
        os.mkfifo(target)
    elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        os.mknod(target, found.st_mode, found.st_rdev)
    else:
        return
    linked[found.st_dev, found.st_ino] = target
    _copy_metadata(here, target)


def _copy_metadata(source: Path, target: Path) -> None:
    """Owner, mode, times and extended attributes; the owner first, since changing it clears set-uid bits."""
    found = source.lstat()
    os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)
