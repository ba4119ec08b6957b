"""This file is about mounting something for a short while, in a place of its own."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from moby.core.snapshots import Mount
from moby.host.files import translation
from moby.host.mounting import make_private, mount, unmount
from moby.host.mounts.table import mount_table
from moby.host.threads import finishing

_PLACE = re.compile(r"moby-mount-(?P<process>\d+-\d+)-\w+")


@asynccontextmanager
async def mounted(mounts: Sequence[Mount]) -> AsyncIterator[Path]:
    """The mounts, one over the other, at the path given; gone at the end, also when that is a cancellation.

    Raises what the errno says, with nothing mounted. What a crash leaves, `free_abandoned` frees.
    """
    place = Path(tempfile.gettempdir(), f"moby-mount-{_process(os.getpid())}-{os.urandom(6).hex()}")
    try:
        await finishing(_mount_all, mounts, place)
        yield place
    finally:
        await finishing(_free, place, len(mounts))


def _mount_all(mounts: Sequence[Mount], place: Path) -> None:
    with translation("cannot mount"):
        place.mkdir(mode=0o700)
        for one in mounts:
            mount(one, place)
        if mounts:
            make_private(place)


def _free(place: Path, count: int) -> None:
    """Detach: who still reads there goes on, and the last one ends the mount."""
    for _ in range(count):
        unmount(place)
    # Removing never goes into a directory: should something still be mounted, it stays.
    with contextlib.suppress(OSError):
        place.rmdir()


def free_abandoned() -> None:
    """Free what processes that have died had mounted by `mounted`; once, at start."""
    counts: dict[str, int] = {}
    for entry in mount_table():
        counts[entry.target] = counts.get(entry.target, 0) + 1
    for place in Path(tempfile.gettempdir()).iterdir():
        match = _PLACE.fullmatch(place.name)
        if match and not _lives(match["process"]) and not place.is_symlink():
            _free(place, counts.get(str(place), 0))


def _process(pid: int) -> str:
    """A process by its number and when it was started (proc(5), stat), since numbers are used again."""
    words = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return f"{pid}-{words[19]}"


def _lives(process: str) -> bool:
    try:
        return _process(int(process.partition("-")[0])) == process
    except OSError:
        return False
