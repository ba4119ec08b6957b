"""This file is about who has which subnet, and whom an address is granted to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network

from moby.core.errors import Unavailable
from moby.core.networks import Address, Network
from moby.networks.ipam.addresses import Addresses
from moby.networks.ipam.pools import DEFAULT_POOLS, Pool, first_free

Occupied = Callable[[], Awaitable[Sequence[IPv4Network]]]

_DEFAULT_GATEWAY = "DefaultGatewayIPv4"


class Ipam:
    """Keeps in memory what networks and endpoints hold; the controller stores it with them.

    `occupied` tells which networks the host itself is on or has routes to.
    """

    def __init__(self, occupied: Occupied, pools: Sequence[Pool] = DEFAULT_POOLS) -> None:
        self._pools = pools
        self._occupied = occupied
        self._networks: dict[str, Addresses] = {}

    async def choose(self) -> IPv4Network:
        """A free subnet of the pools. Raises InvalidParameter if there is none."""
        return first_free(self._pools, await self.taken())

    async def taken(self) -> Sequence[IPv4Network]:
        """What a new subnet must not overlap."""
        return [*await self._occupied(), *(addresses.subnet for addresses in self._networks.values())]

    def add(self, network: Network) -> None:
        """Take a network's subnet into account; again: nothing happens."""
        if network.id in self._networks or not network.subnets:
            return
        pool = network.subnets[0]
        kept = [IPv4Address(text) for text in (pool.gateway, *pool.aux_addresses.values()) if text]
        within = IPv4Network(pool.ip_range, strict=False) if pool.ip_range else None
        self._networks[network.id] = Addresses(IPv4Network(pool.subnet), within, kept)

    def drop(self, network: Network) -> None:
        """The network is gone."""
        self._networks.pop(network.id, None)

    def grant(self, network: Network, wanted: str = "") -> Address:
        """An address on the network, none on one without subnets. Raises as `Addresses` does."""
        addresses = self._networks.get(network.id)
        if addresses is None:
            return Address()
        try:
            granted = addresses.claim(wanted) if wanted else addresses.grant()
        except Unavailable as error:
            raise Unavailable(f"{error.message}: {network.name} ({network.id})") from error
        pool = network.subnets[0]
        return Address(ipv4=granted, gateway=pool.aux_addresses.get(_DEFAULT_GATEWAY) or pool.gateway)

    def free(self, network_id: str, ipv4: str) -> None:
        """Give an address back; no error if it is not granted."""
        addresses = self._networks.get(network_id)
        if addresses is not None and ipv4:
            addresses.free(ipv4)
