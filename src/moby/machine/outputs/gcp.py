"""This file is about a machine as Google's cloud imports it: `NAME.img.tar.gz` with `disk.raw`, whole GiB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from moby.framework.machine import Output
from moby.host.threads import finishing
from moby.machine.disks import bios_disk, size_of
from moby.machine.initrd import compressed
from moby.machine.job import Job, write_chunks, written
from moby.machine.sparse import sparse_archive

_GIB = 1 << 30


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    wanted = -(-size_of(job.options.size or "1G") // _GIB)
    disk = job.scratch / "disk.raw"
    await bios_disk(
        replace(job, options=Output(job.options.format, job.options.compression, f"{wanted}G")), disk
    )
    target = job.folder / f"{job.name}.img.tar.gz"
    with written(target) as path:
        await finishing(write_chunks, path, compressed(sparse_archive(disk, "disk.raw", job.moment), "gzip"))
    return [target]
