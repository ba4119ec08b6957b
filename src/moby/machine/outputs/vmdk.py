"""This file is about a machine as a disk for VMware: `NAME.vmdk`."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from moby.core.errors import System
from moby.machine.disks import bios_disk, converted
from moby.machine.job import Job, written

# Where the header says that the descriptor stands, in sectors (VMDK 5.0, "Hosted Sparse Extents").
_DESCRIPTOR = struct.Struct("<QQ")
_DESCRIPTOR_AT, _SECTOR = 28, 512
# qemu-img draws the content's number by lot, and leaves zeros in front of it out.
_CID = re.compile(rb"(?<=\nCID=)[0-9a-f]{1,8}(?=\n)")


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    await bios_disk(job, job.scratch / "disk")
    target = job.folder / f"{job.name}.vmdk"
    # The disk holds its own name.
    made = job.scratch / target.name
    await converted(job.scratch / "disk", made, "vmdk", "subformat=streamOptimized")
    with made.open("r+b") as file:
        offset, size = _DESCRIPTOR.unpack_from(file.read(_SECTOR), _DESCRIPTOR_AT)
        file.seek(offset * _SECTOR)
        fixed = fixed_descriptor(file.read(size * _SECTOR))
        file.seek(offset * _SECTOR)
        file.write(fixed)
    with written(target) as path:
        made.rename(path)
    return [target]


def fixed_descriptor(region: bytes) -> bytes:
    """The descriptor with a number that is always the same, as long as before. Raises System."""
    text, count = _CID.subn(b"6d6f6279", region.rstrip(b"\0"))
    if count != 1 or len(text) > len(region):
        raise System("qemu-img wrote a VMDK without a CID")
    return text.ljust(len(region), b"\0")
