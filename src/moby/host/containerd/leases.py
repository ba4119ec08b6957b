"""This file is about leases: what keeps unfinished work from containerd's garbage collector."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from moby.core.content import Leases
from moby.core.errors import Conflict, MobyError, NotFound
from moby.host.containerd.client import CALL_LIMIT_S, Containerd, current_lease
from moby.host.containerd.protos import leases_pb2
from moby.host.threads import settle

log = logging.getLogger(__name__)

_KEPT = "kept-"


class ContainerdLeases(Leases):
    """Leases that calls of the same task carry by themselves."""

    def __init__(self, client: Containerd) -> None:
        self._client = client

    def hold(self, *, hours: float = 24.0, collect: bool = False) -> AbstractAsyncContextManager[None]:
        """See `Leases.hold`."""
        return self._hold(hours, collect)

    @asynccontextmanager
    async def _hold(self, hours: float, collect: bool) -> AsyncIterator[None]:
        if current_lease.get() in self._client.leases:
            yield
            return
        lease = f"moby-{os.urandom(8).hex()}"
        await self._begin(lease, hours)
        self._client.leases.add(lease)
        token = current_lease.set(lease)
        try:
            yield
        finally:
            try:
                current_lease.reset(token)
            except ValueError:
                # A generator that is closed by another task than the one that ran it: that one's lease stays.
                log.debug("lease ended by another task", extra={"lease": lease})
            self._client.leases.discard(lease)
            await asyncio.shield(self._drop(lease, sync=collect))

    async def _begin(self, lease: str, hours: float) -> None:
        """Whoever is cancelled meanwhile leaves none: what a call that is broken off does may come later."""
        creation = asyncio.get_running_loop().create_task(self._create(lease, hours))
        try:
            await settle(creation)
        except asyncio.CancelledError:
            await asyncio.shield(self._drop(lease))
            raise
        creation.result()

    async def _create(self, lease: str, hours: float) -> None:
        expires = (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        await self._client.call(
            "leases.v1.Leases/Create",
            leases_pb2.CreateRequest(id=lease, labels={"containerd.io/gc.expire": expires}),
        )

    async def _add(self, lease: str, kind: str, name: str) -> None:
        resource = leases_pb2.Resource(id=name, type=kind)
        await self._client.call(
            "leases.v1.Leases/AddResource", leases_pb2.AddResourceRequest(id=lease, resource=resource)
        )

    async def hold_on(self, kind: str, name: str) -> None:
        """See `Leases.hold_on`."""
        if (lease := current_lease.get()) in self._client.leases:
            await self._add(lease, kind, name)

    async def keep(self, digest: str, *, hours: float = 24.0) -> None:
        """See `Leases.keep`."""
        lease = _KEPT + digest
        with suppress(Conflict):
            await self._create(lease, hours)
        await self._add(lease, "content", digest)

    async def let_go(self, digest: str = "") -> None:
        """See `Leases.let_go`."""
        for lease in [_KEPT + digest] if digest else await self.names():
            if lease.startswith(_KEPT):
                await self._drop(lease, sync=not digest)

    async def _drop(self, lease: str, *, sync: bool = False) -> None:
        try:
            request = leases_pb2.DeleteRequest(id=lease, sync=sync)
            await self._client.call(
                "leases.v1.Leases/Delete", request, limit_s=None if sync else CALL_LIMIT_S
            )
        except NotFound:
            return
        except MobyError as error:
            log.warning("lease stays until it expires", extra={"lease": lease, "error": str(error)})

    async def names(self) -> list[str]:
        """The leases there are."""
        found = await self._client.look(
            "leases.v1.Leases/List", leases_pb2.ListRequest(), leases_pb2.ListResponse
        )
        return [lease.id for lease in found.leases]

    async def drop_stale(self) -> None:
        """End the leases of a process of ours that died; for start-up, before any new one is taken."""
        for lease in await self.names():
            if lease.startswith("moby-"):
                await self._drop(lease)
