"""Which places of the host ports are asked for at."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.networks import Endpoint, PortMapping
from moby.networks.bridge_options import BridgeOptions
from moby.networks.publishing import places

OPTIONS = BridgeOptions("br0")


def endpoint(*asked: str, six: bool = True) -> Endpoint:
    return Endpoint(
        "e", "n", "net", "s", ipv4="10.0.0.2/24", gateway="10.0.0.1", ipv6="fd00::2/64" if six else "",
        gateway6="fd00::1" if six else "", ports=tuple(PortMapping("tcp", 80, ip, 8080) for ip in asked),
    )  # fmt: skip


def at(endpoint: Endpoint, options: BridgeOptions = OPTIONS, default: str = "0.0.0.0") -> list[str]:
    found, _ = places(endpoint, options, default)
    return [f"{one.host_ip} {one.host_port}" for one in found]


def test_everywhere_in_both_families() -> None:
    assert at(endpoint("")) == ["0.0.0.0 8080", ":: 8080"]
    assert at(endpoint("", six=False)) == ["0.0.0.0 8080"]


def test_one_address_is_that_alone() -> None:
    assert at(endpoint("0.0.0.0")) == ["0.0.0.0 8080"]
    assert at(endpoint("::1")) == ["::1 8080"]
    assert at(endpoint(""), default="192.0.2.1") == ["192.0.2.1 8080"]
    assert at(endpoint(""), default="::") == [":: 8080"]


def test_a_family_that_is_not_there_is_left_out() -> None:
    assert places(endpoint("::1", six=False), OPTIONS, "") == ([], True)


def test_a_proxy_reaches_who_has_no_ipv6() -> None:
    found, _ = places(endpoint("", "::1", six=False), OPTIONS, "0.0.0.0", proxy=True)
    assert [one.host_ip for one in found] == ["0.0.0.0", "::", "::1"]
    routed = BridgeOptions("br0", mode4="routed")
    assert [one.host_ip for one in places(endpoint("", six=False), routed, "", proxy=True)[0]] == ["0.0.0.0"]


def test_a_routed_family_has_no_port_of_the_hosts() -> None:
    assert at(endpoint(""), BridgeOptions("br0", mode6="routed")) == ["0.0.0.0 8080", ":: 0"]


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="invalid IP address: here"):
        places(endpoint("here"), OPTIONS, "")
