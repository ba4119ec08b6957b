"""This file is about a machine as kernel and read-only root disk: `NAME-kernel`, `NAME-squashfs.img`."""

from __future__ import annotations

import os
from pathlib import Path

from moby.host.threads import finishing
from moby.machine.job import Job, write_chunks, written
from moby.machine.native import native, program
from moby.machine.read_only import write_beside
from moby.machine.streams import tar_stream

# Of zstd's.
_LEVEL = 9


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    job.kernel()
    plain = job.scratch / "root.tar"
    await finishing(write_chunks, plain, tar_stream(job.root(), job.moment))
    disk = job.folder / f"{job.name}-squashfs.img"
    dated = str(job.moment)
    # mksquashfs 4.5 gives the root itself to whoever calls it, whatever its options say.
    asked = ["mksquashfs"] if (os.geteuid(), os.getegid()) == (0, 0) else ["fakeroot", program("mksquashfs")]
    with written(disk) as path:
        await native(
            *asked,
            "-", path,
            "-tar",
            "-no-strip",
            "-quiet",
            "-no-progress",
            "-comp", "zstd",
            "-Xcompression-level", str(_LEVEL),
            "-mkfs-time", dated,
            "-all-time", dated,
            "-root-mode", "755",
            stdin=plain,
        )  # fmt: skip
    return [disk, *await write_beside(job, "squashfs")]
