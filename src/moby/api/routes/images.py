"""This file is about the images that are here, over HTTP: list, inspect, history, tag, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moby.core.filters import Filters
from moby.core.platform import Platform
from moby.core.types.images import (
    ImageDeleteResponse,
    ImageHistoryItem,
    ImageInspect,
    ImagePruneResponse,
    ImageSummary,
)


class Images(Protocol):
    """What this module asks of an engine; `name` is a reference, an ID or its unique beginning.

    Methods that take a name raise NotFound (`No such image: NAME`).
    """

    async def inspect(
        self, name: str, *, platform: Platform | None = None, manifests: bool = False
    ) -> ImageInspect:
        """Everything about it."""
        ...

    async def history(self, name: str, *, platform: Platform | None = None) -> Sequence[ImageHistoryItem]:
        """How it was made, latest step first."""
        ...

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """Give it another name (`latest` without a tag). Raises InvalidParameter for a bad reference."""
        ...

    async def remove(
        self, name: str, *, force: bool = False, prune: bool = True, platforms: Sequence[Platform] = ()
    ) -> Sequence[ImageDeleteResponse]:
        """Raises Conflict while containers use it."""
        ...

    async def prune(self, filters: Filters) -> ImagePruneResponse:
        """Remove images that nothing uses: without a name, or all with the filter `dangling=false`."""
        ...

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - the parameter's name in the Engine API
        filters: Filters,
        shared_size: bool = False,
        manifests: bool = False,
    ) -> Sequence[ImageSummary]:
        """Newest first."""
        ...
