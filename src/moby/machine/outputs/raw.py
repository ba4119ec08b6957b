"""This file is about a machine as a raw disk: `NAME-bios.img` for a BIOS, `NAME-efi.img` for EFI firmware."""

from __future__ import annotations

from pathlib import Path

from moby.machine.disks import bios_disk, efi_disk
from moby.machine.job import Job, written


async def write_bios(job: Job) -> list[Path]:
    """Write the one for a BIOS. Raises MobyError."""
    target = job.folder / f"{job.name}-bios.img"
    with written(target) as path:
        await bios_disk(job, path)
    return [target]


async def write_efi(job: Job) -> list[Path]:
    """Write the one for EFI. Raises MobyError."""
    target = job.folder / f"{job.name}-efi.img"
    with written(target) as path:
        await efi_disk(job, path)
    return [target]
