"""This file is about a machine as a CD: `NAME.iso` for a BIOS, `NAME-efi.iso`, `NAME-efi-initrd.iso`."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from moby.host.threads import blocking
from moby.machine.disks import boot_files, fat_image
from moby.machine.grub import bios_cd_image, efi_program
from moby.machine.job import Job, written
from moby.machine.native import native


async def write_bios(job: Job) -> list[Path]:
    """Write the one for a BIOS. Raises MobyError."""
    root = await _root(job)
    shutil.copyfile(await bios_cd_image(job), root / "boot.img")
    boot = ["-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
    return await _write(job, root, f"{job.name}.iso", boot)


async def write_efi(job: Job) -> list[Path]:
    """Write the one for EFI. Raises MobyError."""
    root = await _root(job)
    name, loader = await efi_program(job)
    await fat_image(job, root / "efi.img", {f"EFI/BOOT/{name}": loader})
    return await _write(job, root, f"{job.name}-efi.iso", ["-e", "efi.img", "-no-emul-boot"])


async def write_efi_initrd(job: Job) -> list[Path]:
    """Write the one for EFI whose kernel is a part of what the firmware loads. Raises MobyError.

    GRUB cannot read the file system that firmware finds its program in on a CD.
    """
    root = job.scratch / "cd"
    root.mkdir()
    name, loader = await efi_program(job, await boot_files(job))
    await fat_image(job, root / "efi.img", {f"EFI/BOOT/{name}": loader})
    return await _write(job, root, f"{job.name}-efi-initrd.iso", ["-e", "efi.img", "-no-emul-boot"])


async def _root(job: Job) -> Path:
    root = job.scratch / "cd"
    root.mkdir()
    for name, path in (await boot_files(job)).items():
        await blocking(shutil.copyfile, path, root / name)
    return root


async def _write(job: Job, root: Path, name: str, boot: list[str]) -> list[Path]:
    date = datetime.fromtimestamp(job.moment, UTC).strftime("%Y%m%d%H%M%S00")
    for path in [*root.iterdir(), root]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (job.moment, job.moment))
    target = job.folder / name
    with written(target) as path:
        await native(
            "xorriso", "-as", "mkisofs",
            "-quiet",
            "-r",
            "-volid", "MOBY",
            f"--modification-date={date}",
            "-c", "boot.cat",
            *boot,
            "-o", path,
            root,
            env={"SOURCE_DATE_EPOCH": str(job.moment)},
        )  # fmt: skip
    return [target]
