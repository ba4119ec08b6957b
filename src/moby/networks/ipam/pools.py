"""This file is about pools: the subnets that networks get when nobody asked for a particular one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import msgspec

from moby.core.errors import InvalidParameter

AnyNetwork = IPv4Network | IPv6Network


class Pool(msgspec.Struct, frozen=True):
    """A network that is cut into subnets of `size` bits of prefix."""

    network: AnyNetwork
    size: int


DEFAULT_POOLS: tuple[Pool, ...] = (
    Pool(IPv4Network("172.17.0.0/16"), 16),
    Pool(IPv4Network("172.18.0.0/16"), 16),
    Pool(IPv4Network("172.19.0.0/16"), 16),
    Pool(IPv4Network("172.20.0.0/14"), 16),
    Pool(IPv4Network("172.24.0.0/14"), 16),
    Pool(IPv4Network("172.28.0.0/14"), 16),
    Pool(IPv4Network("192.168.0.0/16"), 20),
)


def local_pool(seed: str) -> Pool:
    """Unique local addresses (RFC 4193) made of something that only this machine has."""
    identifier = hashlib.sha256(seed.encode()).digest()[:5]
    return Pool(IPv6Network((b"\xfd" + identifier + bytes(10), 48)), 64)


def host_seed(directory: str) -> str:
    """What makes the unique local addresses of a daemon on this machine its own; blocks."""
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    return f"{machine}{directory}"


def parse_pools(asked: Sequence[tuple[str, object]]) -> tuple[Pool, ...]:
    """Pools from `default-address-pools`: a base and a size each. Raises InvalidParameter."""
    found = []
    for base, size in asked:
        try:
            network = ip_network(base)
        except ValueError as error:
            raise InvalidParameter(f'invalid base pool "{base}": invalid CIDR address: {base}') from error
        if not isinstance(size, int) or not network.prefixlen <= size <= network.max_prefixlen:
            raise InvalidParameter(
                f"invalid default address pool: size {size} must be between {network.prefixlen} and "
                f"{network.max_prefixlen}"
            )
        found.append(Pool(network, size))
    return tuple(found)


def overlap(one: AnyNetwork, other: AnyNetwork) -> bool:
    """Have two networks an address in common?"""
    return one.version == other.version and one.overlaps(other)


def first_free(pools: Iterable[Pool], taken: Sequence[AnyNetwork]) -> AnyNetwork:
    """The first subnet that overlaps nothing taken. Raises InvalidParameter if there is none.

    One walk along what is taken, in order: with hundreds of networks each pool is looked at once.
    """
    spans: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for other in set(taken):
        spans[other.version].append(_span(other))
    for found in spans.values():
        found.sort()
    for pool in pools:
        first, last = _span(pool.network)
        size = 1 << pool.network.max_prefixlen - pool.size
        for begin, end in spans[pool.network.version]:
            if begin >= first + size:
                break
            if end >= first:
                first = (end // size + 1) * size
        if first + size - 1 <= last:
            return type(pool.network)((first, pool.size))
    raise InvalidParameter("all predefined address pools have been fully subnetted")


def _span(network: AnyNetwork) -> tuple[int, int]:
    first = int(network.network_address)
    return first, first + (1 << network.max_prefixlen - network.prefixlen) - 1
