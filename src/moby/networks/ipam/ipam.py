"""This file is about who has which subnet, and whom an address is granted to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_network

from moby.core.errors import InvalidParameter, MobyError, Unavailable
from moby.core.networks import Address, Network, SubnetUse
from moby.networks.ipam.addresses import Addresses
from moby.networks.ipam.pools import DEFAULT_POOLS, AnyNetwork, Pool, first_free, local_pool

Occupied = Callable[[], Awaitable[Sequence[AnyNetwork]]]

_DEFAULT_GATEWAYS = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}


class Ipam:
    """Keeps in memory what networks and endpoints hold; the controller stores it with them.

    `occupied` tells which networks the host itself is on or has routes to. Without a pool of a family there
    is docker's own for IPv4, and one of unique local addresses, made of `seed`, for IPv6.
    """

    def __init__(self, occupied: Occupied, pools: Sequence[Pool] = (), seed: str = "") -> None:
        versions = {pool.network.version for pool in pools}
        self._pools = [
            *pools,
            *(DEFAULT_POOLS if 4 not in versions else ()),
            *([local_pool(seed)] if 6 not in versions else ()),
        ]
        self._occupied = occupied
        self._networks: dict[str, list[Addresses]] = {}

    async def choose(self, version: int = 4, size: int = 0) -> AnyNetwork:
        """A free subnet of the pools, of their size if none is asked for. Raises InvalidParameter."""
        pools = [pool for pool in self._pools if pool.network.version == version]
        if size:
            pools = [
                Pool(pool.network, size)
                for pool in pools
                if pool.network.prefixlen <= size <= pool.network.max_prefixlen
            ]
            if not pools:
                raise InvalidParameter("invalid address pool")
        return first_free(pools, await self.taken())

    async def taken(self) -> Sequence[AnyNetwork]:
        """What a new subnet must not overlap."""
        return [*await self._occupied(), *self.granted()]

    def granted(self) -> Sequence[AnyNetwork]:
        """The subnets of our networks."""
        return [addresses.subnet for known in self._networks.values() for addresses in known]

    def add(self, network: Network) -> None:
        """Take a network's subnets into account; again: nothing happens."""
        if network.id in self._networks or not network.subnets:
            return
        found = []
        for pool in network.subnets:
            kept = [ip_address(text) for text in (pool.gateway, *pool.aux_addresses.values()) if text]
            within = ip_network(pool.ip_range, strict=False) if pool.ip_range else None
            found.append(Addresses(ip_network(pool.subnet), within, kept))
        self._networks[network.id] = found

    def drop(self, network: Network) -> None:
        """The network is gone."""
        self._networks.pop(network.id, None)

    def grant(self, network: Network, ipv4: str = "", ipv6: str = "") -> Address:
        """An address of each family that the network has, none without subnets. Raises as `Addresses` does.

        A text asks for that very address.
        """
        first, gateway = self._grant(network, 4, ipv4)
        try:
            second, gateway6 = self._grant(network, 6, ipv6)
        except MobyError:
            self.free(network.id, str(first or ""))
            raise
        assert not isinstance(first, IPv6Interface)
        assert not isinstance(second, IPv4Interface)
        return Address(first, second, gateway, gateway6)

    def claim(self, network: Network, *granted: str) -> None:
        """Take addresses into account that were granted before. Raises as `Addresses.claim` does."""
        for text in filter(None, granted):
            for addresses in self._networks.get(network.id, ()):
                if addresses.holds(text):
                    addresses.claim(text)

    def _grant(
        self, network: Network, version: int, wanted: str
    ) -> tuple[IPv4Interface | IPv6Interface | None, str]:
        known = self._networks.get(network.id, ())
        failure: Unavailable | None = None
        for addresses, pool in zip(known, network.subnets, strict=False):
            if addresses.subnet.version != version or (wanted and not addresses.holds(wanted)):
                continue
            try:
                granted = addresses.claim(wanted) if wanted else addresses.grant()
            except Unavailable as error:
                failure = error
                continue
            return granted, pool.aux_addresses.get(_DEFAULT_GATEWAYS[version]) or pool.gateway
        if failure is not None:
            raise Unavailable(f"{failure.message}: {network.name} ({network.id})") from failure
        if wanted:
            raise InvalidParameter(
                f"invalid endpoint settings:\nno configured subnet contains IP address {wanted}"
            )
        return None, ""

    def free(self, network_id: str, *granted: str) -> None:
        """Give addresses back; no error for those that are not granted."""
        for text in filter(None, granted):
            for addresses in self._networks.get(network_id, ()):
                if addresses.holds(text):
                    addresses.free(text)

    def usage(self, network_id: str) -> Mapping[str, SubnetUse]:
        """How full a network's subnets are, by subnet."""
        return {str(addresses.subnet): addresses.use() for addresses in self._networks.get(network_id, ())}
