"""Addresses in order."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from moby.core.errors import Forbidden, InvalidParameter, Unavailable
from moby.networks.ipam import Addresses

GATEWAY = IPv4Address("10.1.0.1")


def small(within: str = "") -> Addresses:
    return Addresses(IPv4Network("10.1.0.0/29"), IPv4Network(within) if within else None, [GATEWAY])


def test_granted_in_order_without_network_gateway_and_broadcast() -> None:
    addresses = small()
    assert [str(addresses.grant()) for _ in range(5)] == [f"10.1.0.{n}/29" for n in range(2, 7)]
    with pytest.raises(Unavailable, match="no available IPv4 addresses"):
        addresses.grant()


def test_a_freed_address_rests() -> None:
    addresses = small()
    addresses.free(str(addresses.grant()))
    assert str(addresses.grant()) == "10.1.0.3/29"


def test_after_the_end_it_begins_again() -> None:
    addresses = small()
    granted = [str(addresses.grant()) for _ in range(5)]
    addresses.free(granted[1])
    assert str(addresses.grant()) == granted[1]


def test_a_range_limits_what_is_granted_but_not_what_is_asked_for() -> None:
    addresses = small("10.1.0.4/31")
    assert [str(addresses.grant()) for _ in range(2)] == ["10.1.0.4/29", "10.1.0.5/29"]
    with pytest.raises(Unavailable):
        addresses.grant()
    assert str(addresses.claim("10.1.0.2")) == "10.1.0.2/29"


def test_an_address_is_claimed_once() -> None:
    addresses = small()
    addresses.claim("10.1.0.2")
    with pytest.raises(Forbidden, match="Address already in use"):
        addresses.claim("10.1.0.2")
    assert str(addresses.grant()) == "10.1.0.3/29"


@pytest.mark.parametrize("text", ["10.2.0.1", "fe80::1", "nonsense", ""])
def test_what_is_not_in_the_subnet_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        small().claim(text)


def test_the_gateway_is_never_freed() -> None:
    addresses = small()
    addresses.free(str(GATEWAY))
    with pytest.raises(Forbidden):
        addresses.claim(str(GATEWAY))


def test_point_to_point_subnets_have_no_broadcast() -> None:
    addresses = Addresses(IPv4Network("10.1.0.0/31"), None, [IPv4Address("10.1.0.0")])
    assert str(addresses.grant()) == "10.1.0.1/31"


def test_ipv6_has_no_broadcast() -> None:
    addresses = Addresses(IPv6Network("fd00::/126"), None, [IPv6Address("fd00::1")])
    assert [str(addresses.grant()) for _ in range(2)] == ["fd00::2/126", "fd00::3/126"]
    with pytest.raises(Unavailable, match="no available IPv6 addresses"):
        addresses.grant()


def test_how_full_it_is() -> None:
    addresses = small("10.1.0.4/31")
    assert addresses.use() == (3, 2)
    addresses.grant()
    addresses.claim("10.1.0.2")
    assert addresses.use() == (5, 1)
    assert Addresses(IPv6Network("fd00::/48"), None, []).use() == (1, 2**64 - 1)
