"""This file is about the engine itself over HTTP: ping, version, info, disk usage, events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Protocol

from moby.core.events import Event
from moby.core.filters import Filters
from moby.core.types.system import DiskUsage, Info, Version


class System(Protocol):
    """What this module asks of an engine."""

    async def info(self) -> Info:
        """The engine and its host; the answer is the caller's to change."""
        ...

    async def version(self) -> Version:
        """What it is; `api_version` and `min_api_version` are filled in by the API."""
        ...

    async def disk_usage(self, kinds: Collection[str], *, verbose: bool) -> DiskUsage:
        """Of `kinds`, some of `container`, `image`, `volume`, `build-cache`; with `verbose`, item by item."""
        ...

    def events(self, *, since_ns: int | None, until_ns: int | None, filters: Filters) -> AsyncIterator[Event]:
        """As `moby.core.events.Bus.listen`, filtered. Raises InvalidParameter at once for a bad filter."""
        ...
