"""Address management: pools for networks, addresses for endpoints."""

from moby.networks.ipam.addresses import Addresses
from moby.networks.ipam.ipam import Ipam
from moby.networks.ipam.pools import DEFAULT_POOLS, AnyNetwork, Pool, host_seed, overlap, parse_pools

__all__ = ["DEFAULT_POOLS", "Addresses", "AnyNetwork", "Ipam", "Pool", "host_seed", "overlap", "parse_pools"]
