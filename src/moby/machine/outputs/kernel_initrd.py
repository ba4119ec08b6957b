"""This file is about a machine as kernel and RAM disk: `NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`."""

from __future__ import annotations

from pathlib import Path

from moby.host.threads import finishing
from moby.machine.initrd import initrd
from moby.machine.job import Job, write_chunks, written


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    kernel = job.kernel()
    parts = {
        "kernel": kernel.chunks(),
        "initrd.img": initrd(job),
        "cmdline": iter([job.cmdline.encode()]),
    }
    found = []
    for suffix, chunks in parts.items():
        target = job.folder / f"{job.name}-{suffix}"
        with written(target) as path:
            await finishing(write_chunks, path, chunks)
        found.append(target)
    return found
