"""Endpoints before they join."""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import Any

import pytest

from moby.core.errors import InvalidParameter, MobyError, NotImplemented
from moby.core.networks import Address, Attachment, Endpoint, Network, SandboxRequest
from moby.networks.endpoints import INTERFACE, SYSCTLS, check_request, interface_sysctls, placed

NETWORK = Network("n", "net", "bridge", "")
ADDRESS = Address(IPv4Interface("10.0.0.2/24"), None, "10.0.0.1")


def place(*others: Endpoint, network: Network = NETWORK, **asked: Any) -> Endpoint:
    attachment = Attachment("net", **asked)
    request = SandboxRequest("s", (attachment,), container_name="box")
    check_request(request, [(network, attachment)])
    return placed(request, network, attachment, ADDRESS, others)


def test_interfaces_are_counted() -> None:
    first = place()
    assert (first.interface, place(first).interface) == ("eth0", "eth1")
    named = Network("n", "net", "bridge", "", options={"com.docker.network.container_iface_prefix": "lan"})
    assert place(first, network=named).interface == "lan0"
    assert place(options={INTERFACE: "up0"}).interface == "up0"
    with pytest.raises(InvalidParameter, match='error renaming interface to "eth0": file exists'):
        place(first, options={INTERFACE: "eth0"})


def test_an_internal_network_has_no_gateway() -> None:
    assert place().gateway == "10.0.0.1"
    assert place(network=Network("n", "net", "bridge", "", internal=True)).gateway == ""


def test_link_local_addresses_have_their_kind_s_length() -> None:
    assert place(link_local=("169.254.3.3", "fe80::3")).link_local == ("169.254.3.3/16", "fe80::3/64")


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"link_local": ("10.0.0.1",)}, InvalidParameter),
        ({"link_local": ("x",)}, InvalidParameter),
        ({"mac_address": "02:42"}, InvalidParameter),
        ({"options": {"com.docker.network.nonsense": ""}}, NotImplemented),
        ({"options": {INTERFACE: "a/b"}}, InvalidParameter),
    ],
)
def test_bad_requests(asked: dict[str, Any], kind: type[MobyError]) -> None:
    with pytest.raises(kind):
        place(**asked)


def test_settings_of_the_interface() -> None:
    asked = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=0"
    assert interface_sysctls(place(options={SYSCTLS: asked})) == {
        "net/ipv4/conf/eth0/log_martians": "1",
        "net/ipv6/conf/eth0/accept_ra": "0",
    }
    with pytest.raises(InvalidParameter, match="unrecognised network interface sysctl"):
        interface_sysctls(place(options={SYSCTLS: "net.ipv4.conf.eth0.log_martians=1"}))
