"""Files of the container `box`, in which there is `/there`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from moby.core.errors import NotFound, no_such
from moby.core.types.archives import PathStat
from moby.core.types.commits import CommitOptions
from moby.core.types.containers import FilesystemChange
from moby.core.types.stats import ContainerStats


def _known(name: str, path: str = "/there") -> None:
    if name != "box":
        raise no_such("container", name)
    if path != "/there":
        raise NotFound(f"Could not find the file {path} in container {name}")


async def _chunks() -> AsyncIterator[bytes]:
    yield b"tar"


async def _samples() -> AsyncIterator[ContainerStats]:
    yield ContainerStats("f" * 64, "/box")
    yield ContainerStats("f" * 64, "/box")


class FakeArchives:
    """Says what it is told to."""

    def __init__(self) -> None:
        self.received = b""

    async def stat(self, name: str, path: str) -> PathStat:
        _known(name, path)
        return PathStat("there", 3, 0o644, "2023-11-14T22:13:20Z", "")

    async def get(self, name: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        return await self.stat(name, path), _chunks()

    async def put(
        self,
        name: str,
        path: str,
        archive: AsyncIterator[bytes],
        *,
        overwrite_directories: bool,
        container_owner: bool,
    ) -> None:
        _known(name, path)
        self.received = b"".join([chunk async for chunk in archive])

    async def export(self, name: str) -> AsyncIterator[bytes]:
        _known(name)
        return _chunks()

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        _known(name)
        return [FilesystemChange(1, "/new")]

    async def stats(self, name: str, *, stream: bool, one_shot: bool) -> AsyncIterator[ContainerStats]:
        _known(name)
        return _samples()

    async def commit(self, name: str, options: CommitOptions) -> str:
        _known(name)
        return "sha256:" + "d" * 64
