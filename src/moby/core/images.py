"""This file is about images as a store keeps them: a name and the descriptor it points to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from moby.core.content import ContentStore, Leases
from moby.core.descriptor import Descriptor
from moby.core.snapshots import Differ, Snapshotter


class StoredImage(msgspec.Struct, frozen=True):
    """A name (a full reference, or `moby-dangling@DIGEST` for an image without one) and its target."""

    name: str
    target: Descriptor
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None


class ImageStore(Protocol):
    """Everything images need from a store.

    Life: an image's content is written and unpacked under `leases.hold()`, then `put` names it, which keeps
    it; `delete` removes the name, and with `sync` waits until what only it kept has been collected.
    Cancellation: after a cancelled call the name has its old or its new target.
    """

    @property
    def content(self) -> ContentStore:
        """Blobs."""
        ...

    @property
    def leases(self) -> Leases:
        """What keeps unfinished work."""
        ...

    @property
    def snapshotter(self) -> Snapshotter:
        """File systems."""
        ...

    @property
    def differ(self) -> Differ:
        """Layers to file systems, and back."""
        ...

    async def get(self, name: str) -> StoredImage:
        """Raises NotFound."""
        ...

    async def put(self, image: StoredImage) -> None:
        """Create the name or move it to a new target."""
        ...

    async def delete(self, name: str, *, sync: bool = False) -> None:
        """Remove the name. Raises NotFound."""
        ...

    async def list(self) -> Sequence[StoredImage]:
        """Every image by name."""
        ...

    def version(self) -> Hashable:
        """The same as before only if nothing in the store has changed since; None if it cannot be told."""
        return None
