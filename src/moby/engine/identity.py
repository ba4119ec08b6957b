"""This file is about the name of an engine, as `docker info` shows it."""

from __future__ import annotations

import uuid

from moby.core.store import Store, Table

_TABLE, _KEY = "engine", "id"


async def engine_id(store: Store) -> str:
    """A name that stays the same as long as the engine's state does."""
    table = Table(store, _TABLE, str)
    stored = await table.load()
    if _KEY in stored:
        return stored[_KEY]
    chosen = str(uuid.uuid4())
    await table.save(_KEY, chosen)
    return chosen
