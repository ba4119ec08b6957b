"""This file is about checkpoints: a task's state in a directory, and back into a task.

containerd passes it on as a blob, whichever shim writes it: an archive of what CRIU has written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO

from moby.core.descriptor import Descriptor
from moby.core.errors import NotImplemented, System
from moby.host.archives.packing import Packer
from moby.host.archives.piping import fed, piped
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
    """Takes them, and gives them to tasks that are to go on from there."""

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

    @asynccontextmanager
    async def given(self, directory: str, shim: Shim) -> AsyncIterator[Descriptor | None]:
        """A directory as what a task is made from, while the block runs; None if it is none."""
        if not directory:
            yield None
            return
        await check(shim)
        async with self._leases.hold():
            chunks = piped(lambda file: _pack(file, directory))
            try:
                blob = await self._content.write(f"checkpoint-{os.urandom(8).hex()}", chunks)
            except OSError as error:
                raise System(f"failed to upload checkpoint to containerd: {error}") from error
            yield Descriptor(MEDIA_TYPE, blob.digest, blob.size)
            await self._content.delete(blob.digest)


async def check(shim: Shim) -> None:
    """Raises NotImplemented, saying what is missing, where a shim's tasks cannot be checkpointed."""
    if not shim.own and not shim.name.startswith("io.containerd.runc."):
        return
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


def _pack(file: BinaryIO, directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        packer = Packer(file)
        packer.tree(descriptor, "", itself=False)
        packer.close()
    finally:
        os.close(descriptor)


def _unpack(file: BinaryIO, directory: str) -> None:
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpack(file, descriptor, "", UnpackOptions())
    finally:
        os.close(descriptor)
