"""This file is about a machine as a disk for VMware: `NAME.vmdk`."""

from __future__ import annotations

import re
from pathlib import Path

from moby.core.errors import System
from moby.machine.disks import bios_disk, converted
from moby.machine.job import Job, written

# The descriptor stands in these sectors, with zeros after it; qemu-img draws its content's number by lot.
_START, _END = 512, 21 * 512
_CID = re.compile(rb"^CID=[0-9a-f]{1,8}$", re.MULTILINE)


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    await bios_disk(job, job.scratch / "disk")
    target = job.folder / f"{job.name}.vmdk"
    # The disk holds its own name.
    made = job.scratch / target.name
    await converted(job.scratch / "disk", made, "vmdk", "subformat=streamOptimized")
    with made.open("r+b") as file:
        file.seek(_START)
        fixed = fixed_descriptor(file.read(_END - _START))
        file.seek(_START)
        file.write(fixed)
    with written(target) as path:
        made.rename(path)
    return [target]


def fixed_descriptor(region: bytes) -> bytes:
    """The descriptor with a number that is always the same, as long as before. Raises System."""
    text, count = _CID.subn(b"CID=6d6f6279", region.rstrip(b"\0"))
    if count != 1 or len(text) > len(region):
        raise System("qemu-img wrote a VMDK without a CID")
    return text.ljust(len(region), b"\0")
