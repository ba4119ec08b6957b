"""This file is about networks without addresses of ours: their driver, a plugin, gives or leaves them out."""

from __future__ import annotations

from collections.abc import Sequence

from moby.core.errors import InvalidParameter
from moby.core.networks import Address, Network, NetworkRequest, Subnet
from moby.networks.ipam.pools import AnyNetwork

EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


class NullIpam:
    """Grants every network everything, and no endpoint anything."""

    async def request(
        self, request: NetworkRequest, gateways: frozenset[int], taken: Sequence[AnyNetwork]
    ) -> tuple[Subnet, ...]:
        """All there is, of each family. Raises InvalidParameter if some of it is asked for."""
        if any(one.subnet for one in request.subnets):
            raise InvalidParameter("null ipam driver does not handle specific address pool requests")
        wanted = {4: request.enable_ipv4, 6: request.enable_ipv6}
        return tuple(Subnet(EVERYWHERE[version]) for version in EVERYWHERE if wanted[version])

    async def grant(self, network: Network, ipv4: str, ipv6: str, mac: str) -> Address:
        """No address, whatever is asked for."""
        return Address(None, None, "", "")

    async def free(self, network: Network, *granted: str) -> None:
        """Nothing was granted."""

    async def drop(self, network: Network) -> None:
        """Nobody is kept from having all there is."""
