"""Subnets for networks that ask for none."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Network

import pytest

from moby.core.errors import InvalidParameter
from moby.networks.ipam.pools import DEFAULT_POOLS, first_free, local_pool, parse_pools


def test_the_first_is_docker_s() -> None:
    assert first_free(DEFAULT_POOLS, []) == IPv4Network("172.17.0.0/16")


def test_what_overlaps_is_skipped() -> None:
    taken = [IPv4Network("172.17.5.0/24"), IPv4Network("172.18.0.0/15")]
    assert first_free(DEFAULT_POOLS, taken) == IPv4Network("172.20.0.0/16")


def test_after_the_large_ones_come_small_ones() -> None:
    assert first_free(DEFAULT_POOLS, [IPv4Network("172.16.0.0/12")]) == IPv4Network("192.168.0.0/20")


def test_none_left_is_said_in_docker_s_words() -> None:
    with pytest.raises(InvalidParameter, match="all predefined address pools have been fully subnetted"):
        first_free(DEFAULT_POOLS, [IPv4Network("0.0.0.0/0")])


def test_pools_of_the_administrator() -> None:
    (pool,) = parse_pools([("10.10.0.0/16", 24)])
    assert str(first_free([pool], [])) == "10.10.0.0/24"


@pytest.mark.parametrize(("base", "size"), [("10.10.0.0/16", 8), ("10.10.0.0/16", 33), ("x", 24)])
def test_bad_pools_are_refused(base: str, size: int) -> None:
    with pytest.raises(InvalidParameter):
        parse_pools([(base, size)])


def test_unique_local_addresses_are_the_machine_s_own() -> None:
    one, again, other = local_pool("a"), local_pool("a"), local_pool("b")
    assert one == again != other
    assert str(one.network).startswith("fd")
    assert (one.network.prefixlen, one.size) == (48, 64)
    first = first_free([one], [])
    assert first_free([one], [first]) == list(itertools.islice(one.network.subnets(new_prefix=64), 2))[1]


def test_pools_of_both_families() -> None:
    (pool,) = parse_pools([("fd00:1::/48", 64)])
    assert str(first_free([pool], [])) == "fd00:1::/64"
