"""This file is about a machine as kernel and read-only root disk: `NAME-kernel`, `NAME-erofs.img`."""

from __future__ import annotations

import os
from pathlib import Path

from moby.core.errors import NotImplemented
from moby.machine.job import Job, written
from moby.machine.native import program
from moby.machine.read_only import pack, write_beside

# From here on it takes twice the time for each percent.
_LEVEL = 6
_IDENTITY = "6d6f6279-0000-4000-8000-000000000004"


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    job.kernel()
    _check_attributes(job)
    root = job.scratch / "root"
    disk = job.folder / f"{job.name}-erofs.img"
    with written(disk) as path:
        # Every kernel with EROFS has lz4, and it costs little at a start; pieces of 64 KiB need Linux 5.13.
        fixed = [f"-T{job.moment}", f"-U{_IDENTITY}", f"-zlz4hc,{_LEVEL}", "-C65536"]
        await pack(job, root, program("mkfs.erofs"), *fixed, path, root)
    return [disk, *await write_beside(job, "erofs")]


def _check_attributes(job: Job) -> None:
    """fakeroot 1.31 loses a file's kind when it is given extended attributes."""
    if os.geteuid() == 0:
        return
    for path, node in job.tree.sorted():
        if node.attributes:
            raise NotImplemented(f"/{path} has extended attributes, which only root can put into EROFS")
