"""This file is about a machine as a disk for VMware: `NAME.vmdk`."""

from __future__ import annotations

import re
from pathlib import Path

from moby.core.errors import System
from moby.machine.disks import bios_disk, converted
from moby.machine.job import Job, written

# The descriptor stands in the first sectors; qemu-img draws its content's number by lot.
_DESCRIPTOR = 20 << 10
_CID = re.compile(rb"(?<=\nCID=)[0-9a-f]{8}(?=\n)")


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    await bios_disk(job, job.scratch / "disk")
    target = job.folder / f"{job.name}.vmdk"
    # The disk holds its own name.
    made = job.scratch / target.name
    await converted(job.scratch / "disk", made, "vmdk", "subformat=streamOptimized")
    with made.open("r+b") as file:
        start = file.read(_DESCRIPTOR)
        fixed, count = _CID.subn(b"6d6f6279", start)
        if count != 1:
            raise System("qemu-img wrote a VMDK without a CID")
        file.seek(0)
        file.write(fixed)
    with written(target) as path:
        made.rename(path)
    return [target]
