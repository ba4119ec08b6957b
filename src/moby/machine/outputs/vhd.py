"""This file is about a machine as a disk for Hyper-V and Azure: `NAME.vhd`, of fixed size or growing."""

from __future__ import annotations

import struct
from pathlib import Path

from moby.core.errors import System
from moby.machine.disks import MIB, bios_disk, converted
from moby.machine.job import Job, written

_FOOTER = 512
_COOKIE = b"conectix"
_DATE, _SUM, _ID = 24, 64, 68
_IDENTITY = bytes.fromhex("6d6f6279000040008000000000000003")


async def write_fixed(job: Job) -> list[Path]:
    """Write one of fixed size, whole MiB, as Azure wants it. Raises MobyError."""
    return await _write(job, "fixed")


async def write_dynamic(job: Job) -> list[Path]:
    """Write one that grows. Raises MobyError."""
    return await _write(job, "dynamic")


async def _write(job: Job, form: str) -> list[Path]:
    disk = job.scratch / "disk"
    await bios_disk(job, disk)
    with disk.open("r+b") as file:
        file.truncate(-(-disk.stat().st_size // MIB) * MIB)
    target = job.folder / f"{job.name}.vhd"
    with written(target) as path:
        await converted(disk, path, "vpc", f"subformat={form}", "force_size=on")
        with path.open("r+b") as file:
            size = path.stat().st_size
            for offset in (size - _FOOTER, *([0] if form == "dynamic" else [])):
                file.seek(offset)
                footer = fixed_footer(file.read(_FOOTER))
                file.seek(offset)
                file.write(footer)
    return [target]


def fixed_footer(footer: bytes) -> bytes:
    """The footer without its date and its identity drawn by lot; its sum is made right. Raises System."""
    if not footer.startswith(_COOKIE):
        raise System("qemu-img wrote a VHD without a footer")
    found = bytearray(footer)
    struct.pack_into(">I", found, _DATE, 0)
    found[_ID : _ID + 16] = _IDENTITY
    struct.pack_into(">I", found, _SUM, 0)
    struct.pack_into(">I", found, _SUM, ~sum(found) & 0xFFFFFFFF)
    return bytes(found)
