"""A network service that has the network `bridge`, and takes every other name for one of a user's own."""

from __future__ import annotations

from collections.abc import Sequence

from moby.core.errors import Conflict, NotFound
from moby.core.filters import Filters
from moby.core.types.networks import (
    IPAM,
    IPAMPool,
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkDisconnectRequest,
    NetworkInspect,
    NetworkPruneResponse,
    NetworkSummary,
)

ID = "f" * 64
NOW = "2023-11-14T22:13:20Z"


class FakeNetworks:
    """One network, the bridge."""

    async def inspect(self, name: str, *, scope: str = "", verbose: bool = False) -> NetworkInspect:
        if name != "bridge":
            raise NotFound(f"network {name} not found")
        return NetworkInspect(
            name="bridge",
            id=ID,
            created=NOW,
            scope="local",
            driver="bridge",
            enable_ipv4=True,
            ipam=IPAM(driver="default", config=[IPAMPool(subnet="172.17.0.0/16", gateway="172.17.0.1")]),
        )

    async def list(self, filters: Filters) -> Sequence[NetworkSummary]:
        filters.check({"driver", "id", "name", "scope", "type", "label", "dangling"})
        return [NetworkSummary(name="bridge", id=ID, created=NOW, scope="local", driver="bridge")]

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        if request.name == "bridge":
            raise Conflict("network with name bridge already exists")
        return NetworkCreateResponse(ID)

    async def remove(self, name: str) -> None:
        await self.inspect(name)

    async def prune(self, filters: Filters) -> NetworkPruneResponse:
        return NetworkPruneResponse(["old"])

    async def connect(self, name: str, request: NetworkConnectRequest) -> None:
        await self.inspect(name)

    async def disconnect(self, name: str, request: NetworkDisconnectRequest) -> None:
        await self.inspect(name)
