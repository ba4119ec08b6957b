"""This file is about a machine as kernel and root on a CD: `NAME-kernel`, `NAME-iso.img`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from moby.machine.job import Job, written
from moby.machine.native import program
from moby.machine.read_only import pack, write_beside

# Linux's own extension of the CD's file system; with a higher level it takes longer than all else.
_COMPRESSION = "level=3:block_size=32k"


async def write(job: Job) -> list[Path]:
    """Write it. Extended attributes have no place on a CD. Raises MobyError."""
    job.kernel()
    root = job.scratch / "root"
    date = datetime.fromtimestamp(job.moment, UTC).strftime("%Y%m%d%H%M%S00")
    disk = job.folder / f"{job.name}-iso.img"
    with written(disk) as path:
        await pack(
            job, root,
            program("xorriso"),
            "-zisofs", _COMPRESSION,
            "-as", "mkisofs",
            "-quiet",
            "-R",
            "-iso-level", "3",
            "-volid", "MOBY",
            f"--modification-date={date}",
            "-o", path,
            "-z",
            root,
            "--",
            "-set_filter_r", "--zisofs", "/", "--",
            # That changes files now, and ends what -as mkisofs says of dates.
            "-alter_date_r", "b", f"={job.moment}", "/", "--",
            "-alter_date_r", "c", f"={job.moment}", "/", "--",
            "-compliance", "rec_mtime",
        )  # fmt: skip
    return [disk, *await write_beside(job, "iso")]
