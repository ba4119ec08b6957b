"""What builds leave: nothing yet; a prune says so, and refuses what makes no sense."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.filters import Filters
from moby.engine.build_cache import BuildCache
from moby.engine.events import Events


async def test_nothing_is_removed_of_nothing() -> None:
    report = await BuildCache(Events()).prune(Filters({"until": ["24h"], "type": ["regular"]}))
    assert (report.caches_deleted, report.space_reclaimed) == (None, 0)


@pytest.mark.parametrize(("fields", "words"), [
    ({"until": ["1h"], "unused-for": ["1h"]}, "conflicting filters"),
    ({"until": ["1h", "2h"]}, "expect only one value"),
    ({"id": ["a", "b"]}, "expect only one value"),
    ({"until": ["never"]}, '"until" filter expects a duration'),
])  # fmt: skip
async def test_filters_that_cannot_be(fields: dict[str, list[str]], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        await BuildCache(Events()).prune(Filters(fields))
