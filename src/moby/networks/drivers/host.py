"""This file is about the network `host`: sandboxes that are the host's own namespace."""

from __future__ import annotations

from collections.abc import Sequence

from moby.core.errors import Forbidden
from moby.core.networks import Endpoint, Network, NetworkDriver
from moby.networks.identity import new_id, now


class Host(NetworkDriver):
    """One network, which exists without us: nothing is made and nothing removed."""

    name = "host"
    makes_gateways = False

    async def predefined(self, stored: Network | None, *, used: bool = False) -> Network | None:
        """See `NetworkDriver.predefined`."""
        return stored or Network(new_id(), "host", "host", now())

    async def create(self, network: Network) -> None:
        """See `NetworkDriver.create`. Raises Forbidden for a second one."""
        if network.name != "host":
            raise Forbidden('only one instance of "host" network is allowed')

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""

    async def join(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.join`."""
        return endpoint

    async def restore(self, network: Network, endpoints: Sequence[Endpoint]) -> None:
        """See `NetworkDriver.restore`."""

    async def leave(self, network: Network, endpoint: Endpoint, sandbox: str, *, closing: bool) -> None:
        """See `NetworkDriver.leave`."""

    async def reroute(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.reroute`; there is no route."""
        return endpoint

    async def close(self) -> None:
        """See `NetworkDriver.close`."""
