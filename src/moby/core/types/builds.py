"""This file is about builds in the Engine API."""

from __future__ import annotations

from moby.core.types.wire import Wire, always


class BuildPruneResponse(Wire):
    """The IDs of the cached results that were removed, and the bytes that freed."""

    caches_deleted: list[str] | None = always(None)
    space_reclaimed: int = always(0)
