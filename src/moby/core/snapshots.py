"""This file is about snapshots: the file systems that images and containers are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from moby.core.descriptor import Descriptor


class Mount(msgspec.Struct, frozen=True):
    """How to mount something, as mount(8) takes it."""

    type: str
    source: str
    options: tuple[str, ...] = ()
    target: str = ""


class SnapshotInfo(msgspec.Struct, frozen=True):
    """A snapshot as its snapshotter knows it."""

    name: str
    parent: str
    kind: Literal["view", "active", "committed"]
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)


class Usage(msgspec.Struct, frozen=True):
    """What a snapshot takes on disk, without its parents: bytes and inodes."""

    size: int
    inodes: int


class Snapshotter(Protocol):
    """Keeps layered file systems.

    Life: `prepare` makes an active (writable) snapshot on a committed parent and says how to mount it;
    `commit` turns it into an immutable one by another name; `remove` frees it, children first. Snapshots
    follow the lease and collection rules of `ContentStore`. Cancellation: after a cancelled call the
    snapshot exists or does not; nothing is mounted by these calls.
    """

    name: str

    async def prepare(
        self, key: str, parent: str, labels: Mapping[str, str] | None = None
    ) -> Sequence[Mount]:
        """An active snapshot. Raises Conflict if the key is taken, NotFound without the parent."""
        ...

    async def view(self, key: str, parent: str, labels: Mapping[str, str] | None = None) -> Sequence[Mount]:
        """A read-only snapshot."""
        ...

    async def mounts(self, key: str) -> Sequence[Mount]:
        """How to mount an active snapshot. Raises NotFound."""
        ...

    async def commit(self, name: str, key: str, labels: Mapping[str, str] | None = None) -> None:
        """Turn the active snapshot `key` into the committed one `name`. Raises Conflict if taken."""
        ...

    async def remove(self, key: str) -> None:
        """Free a snapshot; no error if it is not there. Raises Conflict while it has children."""
        ...

    async def info(self, key: str) -> SnapshotInfo:
        """Raises NotFound."""
        ...

    async def usage(self, key: str) -> Usage:
        """Raises NotFound."""
        ...

    def walk(self) -> AsyncIterator[SnapshotInfo]:
        """Every snapshot."""
        ...


class Differ(Protocol):
    """Turns a layer blob into a snapshot's content, and back."""

    async def apply(self, layer: Descriptor, mounts: Sequence[Mount]) -> str:
        """Unpack `layer` onto `mounts`; the diff ID (digest of the plain tar) of what was unpacked."""
        ...

    async def diff(self, lower: Sequence[Mount], upper: Sequence[Mount], media_type: str) -> Descriptor:
        """Write the difference as a layer blob of `media_type`."""
        ...
