"""Pools and addresses of a plugin: granted, given back, and nothing kept when something fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound, System
from moby.core.networks import Network, NetworkRequest, Subnet
from moby.networks.ipam import AnyNetwork, Ipam
from moby.networks.ipam.addressing import Addressing
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins
from tests.sample_network_plugins import addresses
from tests.sample_plugins import Sample, Server

GATEWAYS = frozenset({4, 6})


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A plugin that grants addresses."""
    return addresses(tmp_path / "state")


@pytest.fixture
async def addressing(sample: Sample, tmp_path: Path) -> AsyncIterator[Addressing]:
    """We and that plugin; the host is on 10.77.0.0/24 already."""

    async def occupied() -> Sequence[AnyNetwork]:
        return [ip_network("10.77.0.0/24")]

    with Server(tmp_path / "sample.sock", sample):
        async with LegacyPlugins(Discovery(tmp_path, []), 0) as plugins:
            yield Addressing(Ipam(occupied), plugins)


def granted(sample: Sample) -> dict[str, list[str]]:
    """What the plugin has granted."""
    found: dict[str, list[str]] = json.loads((sample.state / "granted.json").read_text())
    return found


def network(*subnets: Subnet) -> Network:
    """One with these subnets."""
    return Network("5" * 64, "net", "bridge", "", subnets=subnets, ipam_driver="sample")


async def test_a_pool_is_one_that_nobody_else_has(addressing: Addressing, sample: Sample) -> None:
    (subnet,) = await addressing.request(NetworkRequest("net", ipam_driver="sample"), GATEWAYS)
    assert (subnet.subnet, subnet.gateway, subnet.pool) == ("10.77.1.0/24", "10.77.1.1", "10.77.1.0/24")
    assert granted(sample) == {"10.77.1.0/24": ["10.77.1.1"]}


async def test_what_is_asked_for_is_granted(addressing: Addressing, sample: Sample) -> None:
    asked = Subnet("10.9.0.0/24", "10.9.0.5", aux_addresses={"printer": "10.9.0.6"})
    request = NetworkRequest("net", ipam_driver="sample", subnets=[asked])
    (subnet,) = await addressing.request(request, frozenset())
    assert granted(sample) == {"10.9.0.0/24": ["10.9.0.5", "10.9.0.6"]}
    one = network(subnet)
    first = await addressing.grant(one, mac="02:00:00:00:00:01")
    second = await addressing.grant(one, ipv4="10.9.0.9")
    assert (str(first.ipv4), first.gateway, str(second.ipv4)) == ("10.9.0.1/24", "10.9.0.5", "10.9.0.9/24")
    await addressing.free(one, *first.texts, *second.texts)
    await addressing.free(one, *first.texts)
    await addressing.drop(one)
    assert granted(sample) == {}


async def test_without_a_gateway_none_is_asked_for(addressing: Addressing, sample: Sample) -> None:
    (subnet,) = await addressing.request(NetworkRequest("net", ipam_driver="sample"), frozenset())
    assert (subnet.gateway, granted(sample)) == ("", {"10.77.1.0/24": []})


@pytest.mark.parametrize("asked", [
    Subnet("10.9.0.0/24", "10.9.0.5", aux_addresses={"printer": "10.9.0.5"}), Subnet("10.77.1.0/24"),
])  # fmt: skip
async def test_what_fails_leaves_nothing(addressing: Addressing, sample: Sample, asked: Subnet) -> None:
    sample.methods["IpamDriver.RequestPool"]({"Pool": "10.77.1.0/24"})
    request = NetworkRequest("net", ipam_driver="sample", subnets=[asked])
    with pytest.raises(System):
        await addressing.request(request, GATEWAYS)
    assert granted(sample) == {"10.77.1.0/24": []}


@pytest.mark.parametrize(
    "said", [{"PoolID": "x", "Pool": "nonsense"}, {"PoolID": "x", "Pool": "10.77.0.0/24"}]
)
async def test_a_plugin_that_lies_is_an_error(
    addressing: Addressing, sample: Sample, said: dict[str, str]
) -> None:
    sample.methods["IpamDriver.RequestPool"] = lambda _: said
    with pytest.raises(System):
        await addressing.request(NetworkRequest("net", ipam_driver="sample"), GATEWAYS)


async def test_an_address_must_be_one(addressing: Addressing, sample: Sample) -> None:
    one = network(Subnet("10.77.1.0/24", pool="10.77.1.0/24"))
    sample.methods["IpamDriver.RequestAddress"] = lambda _: {"Address": ""}
    with pytest.raises(System, match="invalid CIDR address: "):
        await addressing.grant(one)
    with pytest.raises(InvalidParameter, match=r"no configured subnet contains IP address 10\.1\.0\.1"):
        await addressing.grant(one, ipv4="10.1.0.1")


async def test_a_plugin_that_is_away_is_no_driver(addressing: Addressing) -> None:
    for who in (addressing, Addressing(addressing.own)):
        with pytest.raises(NotFound, match='plugin "absent" not found'):
            await who.request(NetworkRequest("net", ipam_driver="absent"), GATEWAYS)
    gone = Network("5" * 64, "net", "bridge", "", subnets=(Subnet("10.0.0.0/24"),), ipam_driver="absent")
    await addressing.free(gone, "10.0.0.2/24")
    await addressing.drop(gone)
