"""Whose bridge is whose."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from moby.core.errors import Conflict, InvalidParameter
from moby.core.networks import Network
from moby.host.threads import Threads
from moby.networks.bridge_choice import claim, default_network
from moby.networks.ipam import Ipam
from moby.networks.settings import BridgeSettings

NAME = "mt-no-such-br"


async def default(settings: BridgeSettings, stored: Network | None = None, *taken: str) -> Network:
    async def occupied() -> list[IPv4Network]:
        return [IPv4Network(text) for text in taken]

    return await default_network(settings, NAME, stored, Ipam(occupied), Threads("test", 1))


def test_daemons_side_by_side_have_bridges_of_their_own(tmp_path: Path) -> None:
    one, first = claim("", tmp_path, "")
    two, second = claim("", tmp_path, "")
    assert one != two
    first.release()
    again, third = claim("", tmp_path, two)
    assert again not in (one, two) or again == one, "ours is taken by a living daemon"
    second.release()
    third.release()


def test_the_bridge_we_had_comes_first(tmp_path: Path) -> None:
    name, lock = claim("", tmp_path, "docker7")
    assert name == "docker7"
    lock.release()


def test_a_named_bridge_is_that_or_none(tmp_path: Path) -> None:
    name, lock = claim("br7", tmp_path, "")
    assert name == "br7"
    with pytest.raises(Conflict, match="bridge br7 is in use by another daemon"):
        claim("br7", tmp_path, "")
    lock.release()


async def test_the_first_pool_that_is_free() -> None:
    network = await default(BridgeSettings(), None, "172.17.0.0/16", "172.18.0.0/24")
    assert network.subnets[0].subnet == "172.19.0.0/16"
    assert network.subnets[0].gateway == "172.19.0.1"


async def test_options_are_those_that_docker_shows() -> None:
    network = await default(BridgeSettings(icc=False))
    assert network.options == {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": NAME,
        "com.docker.network.driver.mtu": "1500",
    }


async def test_id_time_and_subnet_stay() -> None:
    before = await default(BridgeSettings(), None, "172.17.0.0/16")
    after = await default(BridgeSettings(icc=False), before)
    assert (after.id, after.created, after.subnets) == (before.id, before.created, before.subnets)


async def test_a_subnet_that_another_took_is_given_up() -> None:
    before = await default(BridgeSettings())
    after = await default(BridgeSettings(), before, "172.17.3.0/24")
    assert after.subnets[0].subnet == "172.18.0.0/16"


async def test_the_administrator_s_address_gateway_and_range() -> None:
    settings = BridgeSettings(bip="10.3.0.5/24", fixed_cidr="10.3.0.128/25", default_gateway="10.3.0.9")
    subnet = (await default(settings)).subnets[0]
    assert (subnet.subnet, subnet.gateway, subnet.ip_range) == ("10.3.0.0/24", "10.3.0.5", "10.3.0.128/25")
    assert subnet.aux_addresses == {"DefaultGatewayIPv4": "10.3.0.9"}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(BridgeSettings(bip="10.3.0.5/24", fixed_cidr="10.4.0.0/24"), id="range"),
        pytest.param(BridgeSettings(bip="10.3.0.5/24", default_gateway="10.4.0.1"), id="gateway"),
    ],
)
async def test_what_does_not_fit_is_refused(settings: BridgeSettings) -> None:
    with pytest.raises(InvalidParameter, match=r"not inside|must belong to the master pool"):
        await default(settings)
