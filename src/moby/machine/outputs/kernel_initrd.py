"""This file is about a machine as kernel and RAM disk: `NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`."""

from __future__ import annotations

from pathlib import Path

from moby.host.threads import finishing
from moby.machine.initrd import ram_disk
from moby.machine.job import Job, take_over, write_chunks, written


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    kernel, disk, cmdline = (job.folder / f"{job.name}-{end}" for end in ("kernel", "initrd.img", "cmdline"))
    with written(kernel) as path:
        await finishing(write_chunks, path, job.kernel().chunks())
    made = await ram_disk(job)
    with written(disk) as path:
        await finishing(take_over, made, path)
    with written(cmdline) as path:
        await finishing(write_chunks, path, [job.cmdline.encode()])
    return [kernel, disk, cmdline]
