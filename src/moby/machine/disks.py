"""This file is about whole disks: a boot loader, and one FAT partition with kernel and RAM disk.

Identities and dates are fixed; a disk is a sparse file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from moby.core.errors import InvalidParameter
from moby.host.threads import finishing
from moby.machine.grub import bios_sectors, efi_program
from moby.machine.initrd import ram_disk
from moby.machine.job import Job, write_chunks
from moby.machine.native import native
from moby.machine.sparse import pieces

SECTOR = 512
MIB = 1 << 20
_START = 2048
# FAT counts from 1980 on.
_FAT_EPOCH = 315532800
_DISK_ID, _PARTITION_ID = "6d6f6279-0000-4000-8000-000000000001", "6d6f6279-0000-4000-8000-000000000002"
_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_SIZE = re.compile(r"([1-9][0-9]*)([KMGT]?)(?:i?B)?")
_UNITS = {"": MIB, "K": 1 << 10, "M": MIB, "G": 1 << 30, "T": 1 << 40}


def size_of(text: str | None) -> int:
    """A size in bytes: `512M`, `2G`; a bare number is MiB. Raises InvalidParameter."""
    if text is None:
        return 0
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"{text!r} is no size", hint="512M, 2G")
    return int(match[1]) * _UNITS[match[2]]


async def boot_files(job: Job) -> dict[str, Path]:
    """Kernel and RAM disk as files, by the names that the boot loader knows them by; see `ram_disk`."""
    kernel = job.scratch / "kernel"
    await finishing(write_chunks, kernel, job.kernel().chunks())
    return {"kernel": kernel, "initrd.img": await ram_disk(job)}


async def fat_image(job: Job, target: Path, files: dict[str, Path], room: int = 0) -> None:
    """A FAT file system with these files, large enough for them, and at least `room` bytes."""
    needed = sum(path.stat().st_size for path in files.values())
    size = max(room, (needed * 102 // 100 // MIB + 3) * MIB)
    with target.open("wb") as file:
        file.truncate(size)
    # Below 33 MiB there are too few clusters for FAT32.
    kind = "32" if size >= 40 * MIB else "16" if size >= 8 * MIB else "12"
    dated = {"SOURCE_DATE_EPOCH": str(max(job.moment, _FAT_EPOCH)), "MTOOLS_SKIP_CHECK": "1"}
    await native("mkfs.vfat", "--invariant", "-F", kind, "-n", "MOBY", target)
    folders = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
    for folder in folders:
        await native("mmd", "-i", target, f"::/{folder}", env=dated)
    for name, path in sorted(files.items()):
        await native("mcopy", "-i", target, path, f"::/{name}", env=dated)


async def bios_disk(job: Job, target: Path) -> None:
    """A disk that a BIOS boots, `job.options.size` large or as large as it has to be. Raises MobyError."""
    boot, core = await bios_sectors(job)
    if len(core) > (_START - 1) * SECTOR:
        raise InvalidParameter("the kernel's command line is too long for the boot loader")
    await fat_disk(job, target, await boot_files(job))
    with target.open("r+b") as file:
        table = file.read(SECTOR)[440:]
        file.seek(0)
        file.write(boot[:440] + table + core)


async def fat_disk(job: Job, target: Path, files: dict[str, Path]) -> None:
    """A disk whose one partition has these files, for boards that read it by themselves. Raises MobyError."""
    script = "label: dos\nlabel-id: 0x6d6f6279\nstart=2048, type=c, bootable\n"
    await _disk(job, target, files, script, tail=0)


async def efi_disk(job: Job, target: Path) -> None:
    """A disk that EFI firmware boots. Raises MobyError."""
    name, loader = await efi_program(job)
    files = {**await boot_files(job), f"EFI/BOOT/{name}": loader}
    script = (
        f"label: gpt\nlabel-id: {_DISK_ID}\nfirst-lba: 34\n"
        f"start=2048, type={_ESP}, uuid={_PARTITION_ID}, name=boot\n"
    )
    await _disk(job, target, files, script, tail=MIB)


async def _disk(job: Job, target: Path, files: dict[str, Path], script: str, tail: int) -> None:
    """A partition table by sfdisk, and a FAT file system in its one partition."""
    content = job.scratch / "partition"
    wanted = size_of(job.options.size)
    await fat_image(job, content, files, wanted - _START * SECTOR - tail)
    size = _START * SECTOR + content.stat().st_size + tail
    if wanted and size > wanted:
        raise InvalidParameter(f"the machine needs {-(-size // MIB)} MiB and its disk has {job.options.size}")
    with target.open("wb") as file:
        file.truncate(size)
    await native("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", target, stdin=script.encode())
    await finishing(_copy_into, content, target, _START * SECTOR)
    content.unlink()


def _copy_into(source: Path, target: Path, offset: int) -> None:
    """Copy a file into another one; what is zero there stays a hole."""
    with target.open("r+b") as into:
        for position, chunk in pieces(source):
            into.seek(offset + position)
            into.write(chunk)


async def converted(source: Path, target: Path, form: str, *options: str) -> None:
    """A disk in another form, by qemu-img."""
    more = ["-o", ",".join(options)] if options else []
    await native("qemu-img", "convert", "-q", "-f", "raw", "-O", form, *more, source, target)
    os.chmod(target, 0o644)
