"""This file is about what lies beside a read-only root: kernel, command line, and a small RAM disk."""

from __future__ import annotations

from pathlib import Path

from moby.host.threads import finishing
from moby.machine.first_stage import first_stage
from moby.machine.job import Job, write_chunks, written


async def write_beside(job: Job, kind: str) -> list[Path]:
    """Write them: `NAME-kernel`, `NAME-cmdline`, `NAME-KIND-initrd.img`. Raises MobyError."""
    parts = {"kernel": job.kernel().chunks(), "cmdline": iter([job.cmdline.encode()])}
    disk = first_stage(job, kind)
    if disk is not None:
        parts[f"{kind}-initrd.img"] = disk
    found = []
    for suffix, chunks in parts.items():
        target = job.folder / f"{job.name}-{suffix}"
        with written(target) as path:
            await finishing(write_chunks, path, chunks)
        found.append(target)
    return found
