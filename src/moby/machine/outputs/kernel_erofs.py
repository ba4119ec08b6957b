"""This file is about a machine as kernel and read-only root disk: `NAME-kernel`, `NAME-erofs.img`."""

from __future__ import annotations

import os
from pathlib import Path

from moby.core.errors import NotImplemented
from moby.host.threads import finishing
from moby.machine.job import Job, write_chunks, written
from moby.machine.native import native, program
from moby.machine.read_only import write_beside
from moby.machine.streams import tar_stream

_IDENTITY = "6d6f6279-0000-4000-8000-000000000004"
_UNPACK = 'tar -C "$1" --xattrs --xattrs-include="*" -xpf "$2" && exec "$3" -T"$4" -U"$5" "$6" "$1"'


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    job.kernel()
    _check_attributes(job)
    plain, root = job.scratch / "root.tar", job.scratch / "root"
    root.mkdir()
    root.chmod(0o755)
    await finishing(write_chunks, plain, tar_stream(job.root(), job.moment))
    disk = job.folder / f"{job.name}-erofs.img"
    with written(disk) as path:
        arguments: list[str | Path] = [root, plain, program("mkfs.erofs"), str(job.moment), _IDENTITY, path]
        # fakeroot remembers owners and devices that an ordinary user cannot make.
        asked = ["sh"] if os.geteuid() == 0 else ["fakeroot", "sh"]
        await native(*asked, "-c", _UNPACK, "sh", *arguments)
    return [disk, *await write_beside(job, "erofs")]


def _check_attributes(job: Job) -> None:
    """fakeroot 1.31 loses a file's kind when it is given extended attributes."""
    if os.geteuid() == 0:
        return
    for path, node in job.tree.sorted():
        if node.attributes:
            raise NotImplemented(f"/{path} has extended attributes, which only root can put into EROFS")
