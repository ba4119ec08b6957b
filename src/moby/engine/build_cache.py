"""This file is about what earlier builds left: nothing, as long as nothing is built here."""

from __future__ import annotations

from moby.core.errors import InvalidParameter
from moby.core.events import Bus
from moby.core.filters import Filters, parse_time
from moby.core.types.builds import BuildPruneResponse
from moby.engine.prunes import Prunes

_FIELDS = ("id", "parent", "type", "description", "inuse", "shared", "private")
_AGES = ("until", "unused-for")


class BuildCache:
    """An empty one; `docker system prune` prunes it with all the rest."""

    def __init__(self, bus: Bus) -> None:
        self._prunes = Prunes("builder", bus)

    async def prune(self, filters: Filters) -> BuildPruneResponse:
        """Remove what nobody needs. Raises InvalidParameter for filters that cannot be."""
        _check(filters)
        with self._prunes.one():
            report = BuildPruneResponse()
        self._prunes.told(report.space_reclaimed)
        return report


def _check(filters: Filters) -> None:
    given = [key for key in _AGES if filters.values(key)]
    if len(given) > 1:
        raise InvalidParameter('conflicting filters: "until" and "unused-for"')
    if any(len(filters.values(key)) > 1 for key in (*_AGES, *_FIELDS)):
        raise InvalidParameter("filters expect only one value")
    for key in given:
        try:
            parse_time(filters.values(key)[0])
        except InvalidParameter as error:
            raise InvalidParameter(
                f"\"{key}\" filter expects a duration (e.g., '24h') or a timestamp: {error.message}"
            ) from error
