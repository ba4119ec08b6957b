"""This file is about networks over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moby.core.filters import Filters
from moby.core.types.networks import NetworkInspect, NetworkSummary


class Networks(Protocol):
    """What this module asks of an engine."""

    async def inspect(self, name: str, *, scope: str = "", verbose: bool = False) -> NetworkInspect:
        """By name, ID or unique beginning of an ID. Raises NotFound (`network NAME not found`)."""
        ...

    async def list(self, filters: Filters) -> Sequence[NetworkSummary]:
        """Every network that the filters let through. Raises InvalidParameter for an unknown filter."""
        ...
