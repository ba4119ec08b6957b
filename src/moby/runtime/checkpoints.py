"""This file is about checkpoints: a task's state in a directory.

containerd hands it out as a blob: an archive of what CRIU has written. The other way the shim is told the
directory: containerd would unpack a blob among temporary files and leave them there, with all that was in
the task's memory.
"""

from __future__ import annotations

import os
import shutil
from typing import BinaryIO

from moby.core.errors import NotImplemented, System
from moby.host.archives.piping import fed
from moby.host.archives.unpacking import UnpackOptions, unpack
from moby.host.containerd.checkpoints import write_checkpoint
from moby.host.containerd.client import Containerd
from moby.host.containerd.content import ContainerdContent
from moby.host.containerd.leases import ContainerdLeases
from moby.host.containerd.tasks import Shim
from moby.host.process import run

MEDIA_TYPE = "application/vnd.containerd.container.criu.checkpoint.criu.tar"
_CRIU = "criu"
_LIMIT_S = 30.0


class Checkpoints:
    """Takes them."""

    def __init__(self, client: Containerd) -> None:
        self._client = client
        self._content = ContainerdContent(client)
        self._leases = ContainerdLeases(client)

    async def take(self, task: str, shim: Shim, directory: str, *, leave_running: bool) -> None:
        """See `Runtime.checkpoint`."""
        await check(shim)
        async with self._leases.hold():
            found = await write_checkpoint(self._client, task, leave_running=leave_running)
            blob = next((one for one in found if one.media_type == MEDIA_TYPE), None)
            if blob is None:
                raise System("invalid checkpoint")
            try:
                await fed(lambda file: _unpack(file, directory), self._content.stream(blob.digest))
            except OSError as error:
                raise System(f"failed to read checkpoint reader: {error}") from error
            for one in found:
                await self._content.delete(one.digest)


async def check(shim: Shim) -> None:
    """Raises NotImplemented, saying what is missing, where a shim's tasks cannot be checkpointed."""
    if not shim.own and not shim.name.startswith("io.containerd.runc."):
        raise NotImplemented(f"checkpoints of containers that {shim.name} runs are not supported yet")
    if shutil.which(_CRIU) is None:
        raise NotImplemented("checkpoints need the program criu, which is not installed")
    found = await run([_CRIU, "check"], limit_s=_LIMIT_S)
    if found.code != 0:
        words = (found.err or found.out).decode(errors="replace").strip().splitlines()
        raise NotImplemented(f"criu cannot run on this kernel: {words[0] if words else found.code}")
    program = shim.binary or "runc"
    said = (await run([program, "--version"], limit_s=_LIMIT_S)).out.decode(errors="replace")
    if said.startswith("crun ") and "+CRIU" not in said:
        raise NotImplemented(
            f"{program} was built without CRIU: create the container with --runtime io.containerd.runc.v2"
        )


def _unpack(file: BinaryIO, directory: str) -> None:
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpack(file, descriptor, "", UnpackOptions())
    finally:
        os.close(descriptor)
