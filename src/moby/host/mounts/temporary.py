"""This file is about mounting something for a short while, in a place of its own."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from moby.core.snapshots import Mount
from moby.host.files import translation
from moby.host.mounts.syscalls import mount, unmount
from moby.host.threads import blocking


@asynccontextmanager
async def mounted(mounts: Sequence[Mount]) -> AsyncIterator[Path]:
    """The mounts, one over the other, at the path given; gone at the end, also when that is a cancellation.

    Raises System. After a crash an unused mount is left in the temporary directory, which a reboot frees.
    """
    place = Path(await blocking(tempfile.mkdtemp, prefix="moby-mount-"))
    try:
        await blocking(_mount_all, mounts, place)
        yield place
    finally:
        await asyncio.shield(blocking(_free, place, len(mounts)))


def _mount_all(mounts: Sequence[Mount], place: Path) -> None:
    with translation("cannot mount"):
        for one in mounts:
            mount(one, place)


def _free(place: Path, count: int) -> None:
    for _ in range(count):
        unmount(place)
    os.rmdir(place)
