"""This file is about a machine as kernel and root on a CD: `NAME-kernel`, `NAME-iso.img`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from moby.host.threads import finishing
from moby.machine.job import Job, written
from moby.machine.native import program
from moby.machine.read_only import pack, write_beside
from moby.machine.zisofs import compressed_tree


async def write(job: Job) -> list[Path]:
    """Write it. Extended attributes have no place on a CD. Raises MobyError."""
    job.kernel()
    root = job.scratch / "root"
    date = datetime.fromtimestamp(job.moment, UTC).strftime("%Y%m%d%H%M%S00")
    tree = await finishing(compressed_tree, job.root(), job.scratch / "compressed")
    disk = job.folder / f"{job.name}-iso.img"
    with written(disk) as path:
        await pack(
            job, root,
            program("xorriso"),
            "-as", "mkisofs",
            "-quiet",
            "-R",
            "-iso-level", "3",
            "-volid", "MOBY",
            f"--modification-date={date}",
            "-o", path,
            # What is compressed shows that it is.
            "-z",
            root,
            "--",
            # Of some files the tool takes the time at which they were unpacked.
            "-alter_date_r", "b", f"={job.moment}", "/", "--",
            "-alter_date_r", "c", f"={job.moment}", "/", "--",
            "-compliance", "rec_mtime",
            tree=tree,
        )  # fmt: skip
    return [disk, *await write_beside(job, "iso")]
