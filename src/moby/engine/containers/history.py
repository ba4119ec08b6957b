"""This file is about containers that have been removed lately: they can still be looked at for an hour."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import msgspec

from moby.core.errors import MobyError
from moby.core.store import Store, Table
from moby.core.types.containers import RemovedContainer
from moby.engine.containers.container import Container
from moby.engine.containers.inspect import Inspector
from moby.engine.containers.record import Record, timestamp

log = logging.getLogger(__name__)

KEPT_S = 3600.0
MOST = 1000
_EVERY_S = 60.0


class RemovedRecord(msgspec.Struct):
    """A container as it was when it was removed, and when that was: a time stamp, and seconds since 1970."""

    removed_at: str
    moment: float
    record: Record


class History:
    """Keeps the records of removed containers, on disk: `MOST` of them, for `KEPT_S`."""

    def __init__(self, store: Store, inspector: Inspector) -> None:
        self._table = Table(store, "removed", RemovedRecord)
        self._inspector = inspector
        # When each was removed, the oldest first.
        self._moments: dict[str, float] = {}

    async def keep(self, record: Record) -> None:
        """Keep a container that is being removed; safe to repeat."""
        state = msgspec.structs.replace(record.state, dead=False)
        kept = msgspec.structs.replace(record, state=state, removing=False)
        removed = RemovedRecord(timestamp(), time.time(), kept)
        self._moments[record.id] = removed.moment
        await self._table.save(record.id, removed)

    async def removed(self, name: str = "") -> Sequence[RemovedContainer]:
        """What is kept, of a name, an ID or its beginning or of all; the newest first."""
        wanted = name.removeprefix("/")
        found = [
            one
            for one in (await self._table.load()).values()
            if not wanted or one.record.name == wanted or one.record.id.startswith(wanted)
        ]
        found.sort(key=lambda one: one.moment, reverse=True)
        return [self._shown(one) for one in found if time.time() - one.moment < KEPT_S]

    def _shown(self, one: RemovedRecord) -> RemovedContainer:
        described = self._inspector.describe(Container(one.record))
        fields = {field: getattr(described, field) for field in described.__struct_fields__}
        return RemovedContainer(**fields, removed_at=one.removed_at)

    async def expire(self) -> None:
        """Forget what is too old or too much, again and again until cancelled."""
        loaded = False
        while True:
            try:
                if not loaded:
                    await self._load()
                    loaded = True
                await self._expire()
            except MobyError:
                log.exception("cannot forget removed containers")
            await asyncio.sleep(_EVERY_S)

    async def _load(self) -> None:
        found = {key: one.moment for key, one in (await self._table.load()).items()}
        self._moments = dict(sorted((found | self._moments).items(), key=lambda item: item[1]))

    async def _expire(self) -> None:
        while self._moments:
            key, moment = next(iter(self._moments.items()))
            if time.time() - moment < KEPT_S and len(self._moments) <= MOST:
                return
            await self._table.delete(key)
            self._moments.pop(key, None)
