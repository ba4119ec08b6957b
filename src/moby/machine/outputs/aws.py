"""This file is about a machine as a disk to import at AWS: `NAME.raw`, a GiB or more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from moby.framework.machine import Output
from moby.machine.disks import bios_disk
from moby.machine.job import Job, written


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    options = Output(job.options.format, job.options.compression, job.options.size or "1G")
    target = job.folder / f"{job.name}.raw"
    with written(target) as path:
        await bios_disk(replace(job, options=options), path)
    return [target]
