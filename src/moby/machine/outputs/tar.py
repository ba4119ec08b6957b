"""This file is about a machine as one tar archive: `NAME.tar`, with kernel and command line under `boot/`."""

from __future__ import annotations

from pathlib import Path

from moby.host.threads import finishing
from moby.machine.job import Job, write_chunks, written
from moby.machine.streams import tar_stream


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    target = job.folder / f"{job.name}.tar"
    with written(target) as path:
        await finishing(write_chunks, path, tar_stream(job.tree, job.moment))
    return [target]
