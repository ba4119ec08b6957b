"""This file is about the network `none`: sandboxes with a loopback device alone."""

from __future__ import annotations

from collections.abc import Sequence

from moby.core.errors import Forbidden
from moby.core.networks import Endpoint, Network, NetworkDriver
from moby.networks.identity import new_id, now


class NoNetwork(NetworkDriver):
    """One network, which connects nobody. The API calls its driver `null`."""

    name = "null"
    makes_gateways = False

    async def predefined(self, stored: Network | None, *, used: bool = False) -> Network | None:
        """See `NetworkDriver.predefined`."""
        return stored or Network(new_id(), "none", "null", now())

    async def create(self, network: Network) -> None:
        """See `NetworkDriver.create`. Raises Forbidden for a second one."""
        if network.name != "none":
            raise Forbidden('only one instance of "null" network is allowed')

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
