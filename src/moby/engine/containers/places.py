"""This file is about what is mounted on the host for one container: shared memory, parts of volumes, images.

What is temporary is there until the runtime has taken it over: a container keeps what it was given, wherever
that was mounted. Shared memory stays for other containers to join, until the container ends.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from moby.core.snapshots import Mount
from moby.host.files import translation
from moby.host.mounts import bind_mount, make_private, mount, mount_table, opened_beneath, unmount
from moby.host.threads import finishing

_SHM = "shm"


class Places:
    """Directories below `directory`, one a container, each with what is mounted for it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def shared_memory(self, container: str) -> Path:
        """Where other containers find a container's shared memory; nothing is there if it shares none."""
        return self._directory / container / _SHM

    async def share_memory(self, container: str, size: int) -> Path:
        """Mount shared memory of `size` bytes, afresh."""
        place = self.shared_memory(container)
        await finishing(_mount_memory, place, size)
        return place

    async def part(self, container: str, root: Path, path: str) -> Path:
        """What `path` means inside `root`, mounted at a place of its own: nobody can exchange it any more.

        Links, wherever they point, stay inside `root`. Raises what the errno says.
        """
        return await finishing(_mount_part, self._directory / container, root, path)

    async def tree(self, container: str, mounts: Sequence[Mount]) -> Path:
        """The mounts, one over the other, at a place of their own."""
        return await finishing(_mount_tree, self._directory / container, mounts)

    async def release(self, container: str) -> None:
        """Free what is temporary; safe to repeat."""
        await finishing(_free, self._directory / container, keep=_SHM)

    async def free(self, container: str) -> None:
        """Free everything; safe to repeat."""
        if (self._directory / container).exists():
            await finishing(_free, self._directory / container, keep="")


def _mount_memory(place: Path, size: int) -> None:
    with translation("cannot mount shared memory"):
        # Nobody else on this host gets at the memory, which in the container everybody may write.
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        unmount(place)
        mount(Mount("tmpfs", "shm", ("noexec", "nosuid", "nodev", "mode=1777", f"size={size}")), place)
        make_private(place)


def _fresh(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory / os.urandom(6).hex()


def _mount_part(directory: Path, root: Path, path: str) -> Path:
    with translation("cannot mount"), opened_beneath(root, path) as found:
        place = _fresh(directory)
        if found.is_dir():
            place.mkdir()
        else:
            place.touch()
        bind_mount(found, place)
        return place


def _mount_tree(directory: Path, mounts: Sequence[Mount]) -> Path:
    with translation("cannot mount"):
        place = _fresh(directory)
        place.mkdir()
        for one in mounts:
            mount(one, place)
        make_private(place)
        return place


def _free(directory: Path, *, keep: str) -> None:
    """Unmount and remove each place; never into one, should something still be mounted there."""
    if not directory.is_dir():
        return
    counts: dict[str, int] = {}
    for entry in mount_table():
        counts[entry.target] = counts.get(entry.target, 0) + 1
    for place in directory.iterdir():
        if place.name == keep:
            continue
        for _ in range(max(1, counts.get(str(place), 1))):
            unmount(place)
        with contextlib.suppress(OSError):
            if place.is_dir():
                place.rmdir()
            else:
                place.unlink()
    with contextlib.suppress(OSError):
        directory.rmdir()
