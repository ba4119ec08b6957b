"""This file is about the life of containers over HTTP: create, start, stop, list, inspect, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from moby.core.filters import Filters
from moby.core.types.containers import (
    ContainerCreateRequest,
    ContainerCreateResponse,
    ContainerInspectResponse,
    ContainerPruneResponse,
    ContainerSummary,
    ContainerTopResponse,
    ContainerUpdateRequest,
    ContainerUpdateResponse,
    FilesystemChange,
)
from moby.core.types.requests import ListRequest


class Containers(Protocol):
    """What this module asks of an engine; `name` is a name, an ID or its unique beginning everywhere.

    Every method raises NotFound (`No such container: NAME`). What changes something goes on to its end
    when the client goes away.
    """

    async def create(
        self, name: str, request: ContainerCreateRequest, platform: str | None
    ) -> ContainerCreateResponse:
        """Raises NotFound (`No such image: NAME`), Conflict for a taken name, InvalidParameter."""
        ...

    async def start(self, name: str) -> None:
        """Raises NotModified if it runs."""
        ...

    async def stop(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        """Raises NotModified if it does not run."""
        ...

    async def restart(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        """Stop if it runs, then start."""
        ...

    async def kill(self, name: str, signal_: str = "") -> None:
        """Raises Conflict if it does not run (`cannot kill container: NAME: ...`)."""
        ...

    async def pause(self, name: str) -> None:
        """Raises Conflict."""
        ...

    async def unpause(self, name: str) -> None:
        """Raises Conflict."""
        ...

    async def rename(self, name: str, new: str) -> None:
        """Raises InvalidParameter, Conflict."""
        ...

    async def remove(
        self, name: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Raises Conflict while it runs, unless forced."""
        ...

    async def inspect(self, name: str, *, size: bool = False) -> ContainerInspectResponse:
        """Everything about it; the answer is the caller's to change."""
        ...

    async def top(self, name: str, ps_args: str) -> ContainerTopResponse:
        """Raises Conflict if it does not run."""
        ...

    async def update(self, name: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        """Raises InvalidParameter, Conflict."""
        ...

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        """What differs from its image."""
        ...

    async def prune(self, filters: Filters) -> ContainerPruneResponse:
        """Remove every container that does not run."""
        ...

    async def list(self, request: ListRequest) -> Sequence[ContainerSummary | msgspec.Raw]:
        """Newest first; summaries or fragments of JSON that were encoded before."""
        ...
