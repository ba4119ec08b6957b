"""From a container's configuration to attachments."""

from __future__ import annotations

from typing import Any

import pytest

from moby.core.errors import InvalidParameter
from moby.core.networks import Network, Subnet
from moby.core.types.containers import ContainerConfig, HostConfig, NetworkingConfig
from moby.core.types.networks import EndpointIPAMConfig, EndpointSettings
from moby.engine.containers.networking import (
    attachments,
    check_endpoint,
    disconnected,
    named,
    network_names,
    renamed,
)
from moby.engine.containers.record import Record

NET = Network("1", "net", "bridge", "", subnets=(Subnet("10.0.0.0/24"), Subnet("fd00::/64")))
BRIDGE = Network("2", "bridge", "bridge", "", subnets=(Subnet("172.17.0.0/16"),))


def record(**networks: EndpointSettings) -> Record:
    return Record(
        "c" * 64, "box", "", ContainerConfig(hostname="host"), HostConfig(network_mode="net"), "", "", "", "",
        [], networks=dict(networks),
    )  # fmt: skip


def settings(ipv4: str = "", ipv6: str = "", local: tuple[str, ...] = (), **more: Any) -> EndpointSettings:
    return EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4, ipv6, list(local)), **more)


@pytest.mark.parametrize(
    ("mode", "asked", "joined"),
    [
        ("bridge", [], ["bridge"]),
        ("net", [], ["net"]),
        ("net", ["b", "net", "a"], ["net", "a", "b"]),
        ("bridge", ["net"], ["net"]),
        ("bridge", ["b", "a"], ["a", "b"]),
        ("bridge", ["default", "a"], ["bridge", "a"]),
        ("1" * 12, ["net"], ["net"]),
        ("container:x", [], []),
    ],
)
def test_which_networks_are_meant(mode: str, asked: list[str], joined: list[str]) -> None:
    config = NetworkingConfig(endpoints_config={name: EndpointSettings() for name in asked})
    assert list(network_names(HostConfig(network_mode=mode), config)) == joined


@pytest.mark.parametrize(
    ("network", "asked", "words"),
    [
        (
            BRIDGE,
            settings("172.17.0.9"),
            "user-specified IP address is supported on user-defined networks only",
        ),
        (BRIDGE, settings(aliases=["a"]), "network-scoped aliases are only supported"),
        (NET, settings("10.0.1.1"), "no configured subnet contains IP address 10.0.1.1"),
        (NET, settings("0.0.0.0"), "invalid IPv4 address: 0.0.0.0"),
        (NET, settings("fd00::1"), "invalid IPv4 address: fd00::1"),
        (NET, settings("", "fd01::1"), "no configured subnet contains IP address fd01::1"),
        (NET, settings("", "x"), "invalid IPv6 address: x"),
        (NET, settings(mac_address="02:00:00:00:00"), "invalid MAC address: 02:00:00:00:00"),
        (NET, settings(local=("10.0.0.1",)), "invalid link-local IP address: 10.0.0.1"),
        (NET, settings(links=["a:b:c"]), "bad format for links: a:b:c"),
    ],
)
def test_what_an_endpoint_cannot_be(network: Network, asked: EndpointSettings, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        check_endpoint(network, asked)


def test_everything_that_is_wrong_is_told() -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_endpoint(NET, settings("x", "y"))
    assert caught.value.message.splitlines() == [
        "invalid endpoint settings:", "invalid IPv4 address: x", "invalid IPv6 address: y",
    ]  # fmt: skip


def test_what_is_asked_for_lasts_over_a_run() -> None:
    asked = settings(
        "10.0.0.9", "fd00::9", mac_address="02:00:00:00:00:09", links=["db:store"], gw_priority=3
    )
    found = record(net=asked)
    named(found, {"net": NET})
    first = attachments(found)
    disconnected(found)
    assert attachments(found) == first
    (one,) = first
    assert (one.ipv4, one.ipv6, one.mac_address) == ("10.0.0.9", "fd00::9", "02:00:00:00:00:09")
    assert (one.links, one.priority) == ({"store": "db"}, 3)
    assert one.aliases == ("box", "c" * 12, "host")


def test_a_new_name() -> None:
    found = record(net=settings(aliases=["also"]))
    named(found, {"net": NET})
    found.name = "crate"
    renamed(found)
    assert found.networks["net"].dns_names == ["crate", "also", "c" * 12, "host"]
