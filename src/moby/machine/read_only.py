"""This file is about roots on read-only disks: packed by a native tool, and what lies beside them."""

from __future__ import annotations

import os
from pathlib import Path

from moby.host.threads import finishing
from moby.machine.first_stage import first_stage
from moby.machine.job import Job, write_chunks, written
from moby.machine.native import native
from moby.machine.streams import tar_stream
from moby.machine.tree import Tree

_UNPACK = 'tar -C "$0" --xattrs --xattrs-include="*" -xpf "$1" && shift && exec "$@"'


async def pack(job: Job, root: Path, *argv: str | Path, tree: Tree | None = None) -> None:
    """Call a tool while the machine's root, or `tree`, lies in the folder `root`, with owners and devices.

    Raises MobyError.
    """
    plain = job.scratch / "root.tar"
    root.mkdir()
    root.chmod(0o755)
    await finishing(write_chunks, plain, tar_stream(tree or job.root(), job.moment))
    os.utime(root, (job.moment, job.moment))
    # fakeroot remembers owners and devices that an ordinary user cannot make.
    asked = ["sh"] if os.geteuid() == 0 else ["fakeroot", "sh"]
    dated = {"SOURCE_DATE_EPOCH": str(job.moment)}
    await native(*asked, "-c", _UNPACK, root, plain, *argv, env=dated)


async def write_beside(job: Job, kind: str) -> list[Path]:
    """Write kernel, command line and a small RAM disk: `NAME-kernel`, `NAME-cmdline`, `NAME-KIND-initrd.img`.

    Raises MobyError.
    """
    parts = {"kernel": job.kernel().chunks(), "cmdline": iter([job.cmdline.encode()])}
    disk = first_stage(job, kind)
    if disk is not None:
        parts[f"{kind}-initrd.img"] = disk
    found = []
    for suffix, chunks in parts.items():
        target = job.folder / f"{job.name}-{suffix}"
        with written(target) as path:
            await finishing(write_chunks, path, chunks)
        found.append(target)
    return found
