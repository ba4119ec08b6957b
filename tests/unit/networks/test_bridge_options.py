"""Options of bridge networks."""

from __future__ import annotations

import msgspec
import pytest

from moby.core.errors import Forbidden, InvalidParameter, MobyError, NotImplemented
from moby.core.networks import Network, Subnet
from moby.networks.bridge_options import bridge_options

PREFIX = "com.docker.network.bridge."


def network(options: dict[str, str], *subnets: str, internal: bool = False) -> Network:
    return Network(
        "1" * 64, "net", "bridge", "", options=options, internal=internal, subnets=tuple(map(Subnet, subnets))
    )


def test_what_is_not_asked_for_is_as_usual() -> None:
    found = bridge_options(network({}))
    assert (found.name, found.icc, found.masquerade, found.mode(4), found.mode(6)) == (
        "br-111111111111", True, True, "nat", "nat",
    )  # fmt: skip


def test_options_of_others_are_kept() -> None:
    assert bridge_options(network({"org.example.setting": "1"})) == bridge_options(network({}))


def test_what_is_asked_for() -> None:
    found = bridge_options(
        network(
            {
                f"{PREFIX}enable_icc": "0",
                f"{PREFIX}gateway_mode_ipv6": "routed",
                f"{PREFIX}trusted_host_interfaces": "eth1:eth2",
                "com.docker.network.driver.mtu": "9000",
                "com.docker.network.host_ipv6": "2001:db8::9",
            }
        )
    )
    assert (found.icc, found.mode(6), found.trusted, found.mtu) == (False, "routed", ("eth1", "eth2"), 9000)
    assert (found.host_address(6), found.host_address(4)) == ("2001:db8::9", "")


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({f"{PREFIX}enable_icc": "x"}, InvalidParameter, 'parsing "x": invalid syntax'),
        ({"com.docker.network.driver.mtu": "x"}, InvalidParameter, "failed to parse"),
        ({"com.docker.network.driver.mtu": "-1"}, InvalidParameter, "invalid MTU number: -1"),
        ({"com.docker.network.driver.mtu": " 1400"}, InvalidParameter, 'parsing " 1400": invalid syntax'),
        ({"com.docker.network.driver.mtu": "1_400"}, InvalidParameter, 'parsing "1_400": invalid syntax'),
        ({"com.docker.network.driver.mtu": "9" * 20}, InvalidParameter, "value out of range"),
        ({"com.docker.network.driver.mtu": "9" * 5000}, InvalidParameter, "value out of range"),
        ({f"{PREFIX}gateway_mode_ipv4": "x"}, InvalidParameter, "unknown gateway mode x"),
        ({f"{PREFIX}gateway_mode_ipv4": ""}, InvalidParameter, "unknown gateway mode"),
        ({"com.docker.network.host_ipv4": "::1"}, InvalidParameter, "not an IPv4 address"),
        ({f"{PREFIX}gateway_mode_ipv4": "isolated"}, Forbidden, "internal network"),
        ({f"{PREFIX}host_binding_ipv4": "x"}, InvalidParameter, "nil ip"),
        ({f"{PREFIX}trusted_host_interfaces": 'eth0"; flush ruleset'}, InvalidParameter, "name"),
        ({f"{PREFIX}name": "a b"}, InvalidParameter, "invalid bridge name"),
        ({f"{PREFIX}nonsense": "1"}, NotImplemented, "nonsense"),
    ],
)
def test_bad_options(options: dict[str, str], kind: type[MobyError], words: str) -> None:
    with pytest.raises(kind, match=words):
        bridge_options(network(options))


def test_ipv6_needs_room() -> None:
    small = network({"com.docker.network.driver.mtu": "1279"})
    assert bridge_options(small).mtu == 1279
    with pytest.raises(InvalidParameter, match="invalid MTU number: 1279: IPv6 needs 1280"):
        bridge_options(msgspec.structs.replace(small, enable_ipv6=True))


@pytest.mark.parametrize("subnets", [("10.0.0.0/24", "10.0.1.0/24"), ("fe80::/80",), ("ff02::/64",)])
def test_subnets_that_no_bridge_has(subnets: tuple[str, ...]) -> None:
    with pytest.raises((Forbidden, InvalidParameter)):
        bridge_options(network({}, *subnets))
