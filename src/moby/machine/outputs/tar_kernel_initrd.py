"""This file is about kernel, RAM disk and command line in one archive: `NAME-initrd.tar`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from moby.host.threads import finishing
from moby.machine.initrd import ram_disk
from moby.machine.job import Job, write_chunks, written
from moby.machine.streams import tar_entry


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    kernel = job.kernel()
    disk = await ram_disk(job)
    size = disk.stat().st_size

    def entries() -> Iterator[bytes]:
        yield from tar_entry("kernel", kernel.chunks(), kernel.size, job.moment)
        with disk.open("rb") as file:
            yield from tar_entry("initrd.img", iter(lambda: file.read(1 << 20), b""), size, job.moment)
        words = job.cmdline.encode()
        yield from tar_entry("cmdline", [words], len(words), job.moment)
        yield bytes(1024)

    target = job.folder / f"{job.name}-initrd.tar"
    with written(target) as path:
        await finishing(write_chunks, path, entries())
    return [target]
