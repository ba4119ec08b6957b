"""This file is about a machine as a disk for qemu: `NAME.qcow2` for a BIOS, `NAME-efi.qcow2` for EFI."""

from __future__ import annotations

from pathlib import Path

from moby.machine.disks import bios_disk, converted, efi_disk
from moby.machine.job import Job, written


async def write_bios(job: Job) -> list[Path]:
    """Write the one for a BIOS. Raises MobyError."""
    await bios_disk(job, job.scratch / "disk")
    return await _write(job, f"{job.name}.qcow2")


async def write_efi(job: Job) -> list[Path]:
    """Write the one for EFI. Raises MobyError."""
    await efi_disk(job, job.scratch / "disk")
    return await _write(job, f"{job.name}-efi.qcow2")


async def _write(job: Job, name: str) -> list[Path]:
    target = job.folder / name
    with written(target) as path:
        await converted(job.scratch / "disk", path, "qcow2")
    return [target]
