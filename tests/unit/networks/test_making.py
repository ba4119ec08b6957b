"""Networks as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from moby.core.errors import Conflict, Forbidden, InvalidParameter, MobyError, NotFound, System
from moby.core.networks import Network, NetworkDriver, NetworkRequest, Subnet
from moby.networks.ipam import AnyNetwork, Ipam
from moby.networks.ipam.addressing import Addressing
from moby.networks.lookup import DriverLookup
from moby.networks.making import made


class Driver:
    scope = "local"
    gateways = NetworkDriver.gateways

    def __init__(self, makes_gateways: bool) -> None:
        self.makes_gateways = makes_gateways


DRIVERS = cast("dict[str, NetworkDriver]", {"bridge": Driver(True), "macvlan": Driver(False)})


async def nothing() -> Sequence[AnyNetwork]:
    return []


async def make(*existing: Network, **asked: Any) -> Network:
    return await made(
        NetworkRequest("net", **asked), existing, DriverLookup(DRIVERS), Addressing(Ipam(nothing))
    )


async def test_subnets_of_the_pools() -> None:
    assert [one.subnet for one in (await make()).subnets] == ["172.17.0.0/16"]
    both = await make(enable_ipv6=True)
    assert both.subnets[1].gateway == both.subnets[1].subnet.replace("/64", "1")


async def test_a_family_that_is_off_has_no_subnet() -> None:
    asked = [Subnet("10.0.0.0/24"), Subnet("fd00::/64")]
    assert [one.subnet for one in (await make(subnets=asked)).subnets] == ["10.0.0.0/24"]
    six = await make(subnets=asked, enable_ipv4=False, enable_ipv6=True)
    assert [one.subnet for one in six.subnets] == ["fd00::/64"]


@pytest.mark.parametrize(
    ("asked", "gateway"),
    [
        (Subnet("10.0.0.0/24"), "10.0.0.1"),
        (Subnet("10.0.0.0/24", "10.0.0.254"), "10.0.0.254"),
        (Subnet("10.0.0.0/24", "", "10.0.0.64/26"), "10.0.0.64"),
        (Subnet("10.0.0.0/31"), "10.0.0.0"),
        (Subnet("10.0.0.0/32"), "10.0.0.0"),
        (Subnet("10.0.0.0/24", "", "10.0.0.0/30"), "10.0.0.1"),
    ],
)
async def test_gateways(asked: Subnet, gateway: str) -> None:
    assert (await make(subnets=[asked])).subnets[0].gateway == gateway
    foreign = await make(subnets=[asked], driver="macvlan")
    assert foreign.subnets[0].gateway == asked.gateway


async def test_a_subnet_of_a_size() -> None:
    assert (await make(subnets=[Subnet("0.0.0.0/26")])).subnets[0].subnet == "172.17.0.0/26"


async def test_a_configuration_is_anothers() -> None:
    source = await make(
        config_only=True, subnets=[Subnet("10.0.0.0/24")], options={"a": "b"}, labels={"c": "d"}
    )
    assert (source.driver, source.config_only) == ("null", True)
    found = await made(
        NetworkRequest("other", config_from="net"), [source], DriverLookup(DRIVERS), Addressing(Ipam(nothing))
    )
    assert (found.options, found.labels, found.config_from) == ({"a": "b"}, {"c": "d"}, "net")
    assert found.subnets[0].gateway == "10.0.0.1"


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"driver": "host"}, Forbidden, "only one instance"),
        ({"driver": "odd"}, NotFound, 'plugin "odd" not found'),
        ({"config_from": "odd"}, NotFound, 'configuration network "odd" does not exist'),
        ({"config_from": "odd", "labels": {"a": "b"}}, Forbidden, "user-specified configurations"),
        ({"config_from": "odd", "options": {"a": "b"}}, Forbidden, "driver options"),
        ({"config_only": True, "config_from": "odd"}, Forbidden, "cannot depend on another"),
        ({"subnets": [Subnet("10.0.0.1/24")]}, InvalidParameter, "it should be 10.0.0.0/24"),
        ({"subnets": [Subnet("10.0.0.0")]}, InvalidParameter, "invalid subnet 10.0.0.0: invalid CIDR"),
        ({"subnets": [Subnet("10.0.0.0/24", "", "10.0.0.8")]}, InvalidParameter, "invalid ip-range 10.0.0.8"),
        ({"subnets": [Subnet("10.0.0.0/24", "10.0.0.0")]}, System, "gateway .10.0.0.0.: Address already"),
        ({"subnets": [Subnet("10.0.0.0/24", "10.0.0.255")]}, System, "Address already in use"),
        ({"subnets": [Subnet("10.0.0.0/24", "", "10.0.0.255/32")]}, System, "no available addresses"),
        (
            {"subnets": [Subnet("10.0.0.0/24", aux_addresses={"a": "10.0.0.1"})]},
            System,
            "secondary ip address",
        ),
        ({"subnets": [Subnet("fd00::/128")], "enable_ipv6": True}, System, "no available addresses"),
        ({"subnets": [Subnet("10.0.0.0/24"), Subnet("10.0.0.0/25")]}, Forbidden, "Pool overlaps"),
    ],
)
async def test_what_cannot_be_made(asked: dict[str, Any], kind: type[MobyError], words: str) -> None:
    with pytest.raises(kind, match=words):
        await make(**asked)


async def test_a_name_is_given_once() -> None:
    with pytest.raises(Conflict, match="network with name net already exists"):
        await make(Network("1", "net", "bridge", ""))


async def test_everything_that_is_wrong_is_told() -> None:
    with pytest.raises(InvalidParameter) as caught:
        await make(subnets=[Subnet("10.0.0.1/24", "10.1.0.1", "10.0.0.1/30")])
    assert len(caught.value.message.splitlines()) >= 2
