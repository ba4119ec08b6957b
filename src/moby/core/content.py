"""This file is about content: immutable blobs named by their digest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class ContentInfo(msgspec.Struct, frozen=True):
    """What a store knows of a blob; `size` in bytes."""

    digest: str
    size: int
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)


class ContentStore(Protocol):
    """Keeps blobs by digest, and labels on them.

    Life of a blob: written under a `ref` (a name for the unfinished write), committed when size and digest
    are verified, then immutable until deleted or collected. A blob that no image, label or lease refers to
    may be collected at any time: write and read under `Leases.hold()` (see below). Cancellation: after a
    cancelled write the blob is either committed or absent; the store may keep the partial write under its
    ref to resume it.
    """

    async def info(self, digest: str) -> ContentInfo:
        """Size and labels. Raises NotFound."""
        ...

    async def read(self, digest: str, *, limit: int = 8 << 20) -> bytes:
        """The whole blob. Raises NotFound, and InvalidParameter if it is larger than `limit` bytes."""
        ...

    def stream(self, digest: str, *, offset: int = 0) -> AsyncIterator[bytes]:
        """The blob in chunks from `offset`. Raises NotFound at the first chunk."""
        ...

    async def write(
        self,
        ref: str,
        chunks: AsyncIterator[bytes],
        *,
        size: int | None = None,
        digest: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> ContentInfo:
        """Write and commit a blob; one that is there already is left as it is, its labels merged.

        Raises DataLoss if `size` or `digest` does not match what came.
        """
        ...

    async def resume(
        self,
        ref: str,
        source: Callable[[int], AsyncIterator[bytes]],
        *,
        size: int,
        digest: str,
        labels: Mapping[str, str] | None = None,
    ) -> ContentInfo:
        """As `write`, going on where an earlier one under `ref` broke off: `source` gives what is missing.

        What a broken one leaves is kept for a day, without a lease, and across restarts; so something else
        has to refer to the blob once it is committed. Raises DataLoss, after which nothing is left.
        """
        ...

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """Set labels on a blob; an empty value removes the label. Raises NotFound."""
        ...

    async def abandon(self, ref: str) -> None:
        """Forget what a broken `resume` left under `ref`; no error if that is nothing."""
        ...

    async def abandon_all(self) -> None:
        """Forget what every broken `resume` left, but for those that are gone on with at this moment."""
        ...

    async def delete(self, digest: str) -> None:
        """Remove a blob; no error if it is not there."""
        ...

    def walk(self) -> AsyncIterator[ContentInfo]:
        """Every blob."""
        ...


class Leases(Protocol):
    """Keeps what is written from being collected while it is not yet referred to."""

    def hold(self, *, hours: float = 24.0, collect: bool = False) -> AbstractAsyncContextManager[None]:
        """Everything created inside the block (by this task) lives at least until its end.

        With `collect` what nothing else refers to then is gone when the block is left, otherwise some time
        later. `hours` bounds it if the process dies inside. Nested blocks use the outer lease.
        """
        ...

    async def hold_on(self, kind: str, name: str) -> None:
        """The lease that this task holds keeps something that is there already; without a lease, nothing.

        `kind` is `content` or `snapshots/SNAPSHOTTER`. Look whether it is there afterwards, not before.
        """
        ...

    async def keep(self, digest: str, *, hours: float = 24.0) -> None:
        """Keep a blob, and what it refers to, also when nobody holds a lease: somebody will come back for it.

        That outlives the process. Not an error if it is kept already.
        """
        ...

    async def let_go(self, digest: str = "") -> None:
        """Keep a blob no longer, or none of those that are kept."""
        ...
