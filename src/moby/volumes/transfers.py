"""This file is about a volume as a whole: copied, renamed, and as an archive."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from moby.core.errors import Conflict, InvalidParameter, NotFound, System
from moby.core.undo import Undo
from moby.host.archives import Packer, UnpackOptions, fed, piped, unpack
from moby.host.files import translation
from moby.host.threads import blocking, finishing
from moby.volumes.copying import copy_tree
from moby.volumes.records import StoredVolume
from moby.volumes.service import Volumes

# Of those who have a volume mounted, the ones who may write to it now.
Writers = Callable[[str, frozenset[str]], list[str]]


class VolumeTransfers:
    """Copies volumes, and turns them into archives and back.

    What may be written to meanwhile would be torn: it is refused while `writers` names somebody, and until it
    is done nobody can begin to use the volume. A volume that could not be made whole is not there. On a file
    system that can, copies share their blocks until one of the two is changed.
    """

    def __init__(self, volumes: Volumes, writers: Writers) -> None:
        self._volumes = volumes
        self._writers = writers
        self._making: set[str] = set()

    async def clone(self, name: str, new: str, labels: Mapping[str, str]) -> StoredVolume:
        """A local volume with all that another one has, its labels too. Raises NotFound, Conflict, System."""
        async with (
            self._source(name) as (volume, source),
            self._made(new, {**volume.labels, **labels}) as target,
        ):
            try:
                await finishing(copy_tree, source, target)
            except OSError as error:
                raise System(f"cannot copy volume {name}: {error}") from error
            self._check(volume)
        return await self._volumes.get(new)

    async def rename(self, name: str, new: str) -> StoredVolume:
        """Raises NotFound, Conflict while a container refers to it, InvalidParameter for other drivers'."""
        return await self._volumes.rename(name, new)

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """A tar of all that is in it. Raises NotFound, Conflict, before the first piece of it."""
        chunks = self._export(name)
        await anext(chunks)
        return chunks

    async def _export(self, name: str) -> AsyncGenerator[bytes, None]:
        async with self._source(name) as (volume, source):
            yield b""
            async with aclosing(piped(lambda file: _pack(file, source))) as chunks:
                async for chunk in chunks:
                    yield chunk
            self._check(volume)

    async def import_(self, name: str, archive: AsyncIterator[bytes]) -> StoredVolume:
        """A new local volume with what is in a tar. Raises Conflict if there is one, InvalidParameter."""
        async with self._made(name, {}) as target:
            root = await blocking(os.open, target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with translation(f"cannot import volume {name}"):
                    await fed(lambda file: unpack(file, root, "", UnpackOptions()), archive)
            finally:
                os.close(root)
        return await self._volumes.get(name)

    @asynccontextmanager
    async def _source(self, name: str) -> AsyncIterator[tuple[StoredVolume, Path]]:
        """A volume that nobody writes to, and where it is mounted."""
        volume = await self._volumes.get(name)
        async with self._volumes.still(name) as (users, place):
            volume = msgspec.structs.replace(volume, users=sorted(users))
            self._check(volume)
            yield volume, place

    def _check(self, volume: StoredVolume) -> None:
        """Before a copy, and after it: a container that was paused may go on meanwhile. Raises Conflict."""
        if writers := self._writers(volume.name, frozenset(volume.users)):
            raise Conflict(
                f"volume {volume.name} would be torn: it is mounted by {', '.join(writers)}",
                hint="stop or pause it, or mount the volume read-only",
            )

    @asynccontextmanager
    async def _made(self, name: str, labels: Mapping[str, str]) -> AsyncIterator[Path]:
        """A new volume, which is gone again if it is not filled."""
        if not name:
            raise InvalidParameter("a volume needs a name")
        taken = Conflict(f"volume {name} already exists")
        if name in self._making:
            raise taken
        self._making.add(name)
        try:
            async with Undo() as undo:
                try:
                    await self._volumes.get(name)
                except NotFound:
                    undo.push(self._volumes.remove, name)
                else:
                    raise taken
                await self._volumes.create(name, driver="local", labels=labels)
                async with self._volumes.still(name) as (_, place):
                    yield place
                undo.keep()
        finally:
            self._making.discard(name)


def _pack(target: BinaryIO, source: Path) -> None:
    root = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        packer = Packer(target)
        packer.tree(root, ".")
        packer.close()
    finally:
        os.close(root)
