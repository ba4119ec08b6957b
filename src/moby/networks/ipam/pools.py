"""This file is about pools: the subnets that networks get when nobody asked for a particular one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from moby.core.errors import InvalidParameter


@dataclass(frozen=True, slots=True)
class Pool:
    """A network that is cut into subnets of `size` bits of prefix."""

    network: IPv4Network
    size: int

    def subnets(self) -> Iterator[IPv4Network]:
        """Every subnet, in order."""
        return self.network.subnets(new_prefix=self.size)


DEFAULT_POOLS: tuple[Pool, ...] = (
    Pool(IPv4Network("172.17.0.0/16"), 16),
    Pool(IPv4Network("172.18.0.0/16"), 16),
    Pool(IPv4Network("172.19.0.0/16"), 16),
    Pool(IPv4Network("172.20.0.0/14"), 16),
    Pool(IPv4Network("172.24.0.0/14"), 16),
    Pool(IPv4Network("172.28.0.0/14"), 16),
    Pool(IPv4Network("192.168.0.0/16"), 20),
)


def parse_pools(asked: Sequence[tuple[str, int]]) -> tuple[Pool, ...]:
    """Pools from `default-address-pools`: a base and a size each. Raises InvalidParameter."""
    found = []
    for base, size in asked:
        try:
            network = IPv4Network(base)
        except ValueError as error:
            raise InvalidParameter(f"invalid base pool {base!r}: {error}") from error
        if not network.prefixlen <= size <= 32:
            raise InvalidParameter(
                f"invalid default address pool: size {size} must be between {network.prefixlen} and 32"
            )
        found.append(Pool(network, size))
    return tuple(found)


def first_free(pools: Iterable[Pool], taken: Sequence[IPv4Network]) -> IPv4Network:
    """The first subnet that overlaps nothing taken. Raises InvalidParameter if there is none."""
    for pool in pools:
        for subnet in pool.subnets():
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
    raise InvalidParameter("all predefined address pools have been fully subnetted")
