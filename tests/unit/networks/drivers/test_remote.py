"""Networks of a plugin: what every network driver does, and what a plugin may want of a sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moby.core.errors import NotFound, System
from moby.core.networks import Endpoint, Network, PortMapping, Subnet
from moby.networks.drivers.remote import Remote
from moby.networks.lookup import DriverLookup
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins
from moby.testing.networks import NetworkDriverSuite
from tests.sample_plugins import Sample, Server

NETWORK = Network(
    "5" * 64, "net", "sample", "2024-01-01T00:00:00Z",
    subnets=(Subnet("10.0.0.0/24", "10.0.0.1", aux_addresses={"a": "10.0.0.2"}),), options={"a": "b"},
)  # fmt: skip
ENDPOINT = Endpoint("e" * 64, NETWORK.id, "net", "c" * 64, "eth0", ipv4="10.0.0.3/24", gateway="10.0.0.1")


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A plugin that does without interfaces."""

    def nothing(_: dict[str, Any]) -> dict[str, Any]:
        return {}

    methods = {
        f"NetworkDriver.{name}": nothing
        for name in ("CreateNetwork", "DeleteNetwork", "DeleteEndpoint", "Join", "Leave")
    }
    methods["NetworkDriver.GetCapabilities"] = lambda _: {"Scope": "global"}
    methods["NetworkDriver.CreateEndpoint"] = lambda _: {"Interface": {"MacAddress": "02:00:00:00:00:01"}}
    return Sample(tmp_path / "state", ["NetworkDriver"], methods)


@pytest.fixture
async def plugins(sample: Sample, tmp_path: Path) -> AsyncIterator[LegacyPlugins]:
    """Plugins, of which it is one."""
    with Server(tmp_path / "sample.sock", sample):
        async with LegacyPlugins(Discovery(tmp_path, []), 0) as plugins:
            yield plugins


@pytest.fixture
async def driver(plugins: LegacyPlugins) -> AsyncIterator[Remote]:
    """Its driver."""
    made = await Remote.of(await plugins.find("sample", "NetworkDriver"))
    yield made
    await made.close()


def asked(sample: Sample, method: str) -> list[dict[str, Any]]:
    """What the plugin was asked."""
    lines = map(msgspec.json.decode, (sample.state / "calls.jsonl").read_text().splitlines())
    return [line["request"] for line in lines if line["method"] == f"NetworkDriver.{method}"]


class TestRemote(NetworkDriverSuite):
    """Without a sandbox: nothing is put into one."""

    @pytest.fixture
    def network(self) -> Network:
        return NETWORK

    @pytest.fixture
    def endpoint(self) -> Endpoint:
        return ENDPOINT

    @pytest.fixture
    def sandbox(self) -> str:
        return "/nothing/here"


async def test_a_network_is_told_whole(driver: Remote, sample: Sample) -> None:
    assert driver.scope == "global"
    await driver.create(NETWORK)
    assert asked(sample, "CreateNetwork") == [{
        "NetworkID": NETWORK.id,
        "Options": {
            "com.docker.network.enable_ipv4": True, "com.docker.network.enable_ipv6": False,
            "com.docker.network.generic": {"a": "b"},
        },
        "IPv4Data": [{
            "AddressSpace": "LocalDefault", "Pool": "10.0.0.0/24", "Gateway": "10.0.0.1/24",
            "AuxAddresses": {"a": "10.0.0.2/24"},
        }],
        "IPv6Data": [],
    }]  # fmt: skip


async def test_an_endpoint_is_told_with_its_ports(driver: Remote, sample: Sample) -> None:
    ports = (PortMapping("tcp", 80, host_port=8080),)
    joined = await driver.join(NETWORK, msgspec.structs.replace(ENDPOINT, ports=ports), "/x")
    assert (joined.mac_address, joined.ports) == ("02:00:00:00:00:01", ())
    (told,) = asked(sample, "Join")
    assert told["SandboxKey"] == "/x"
    assert told["Options"]["com.docker.network.portmap"] == [
        {"Proto": 6, "IP": "10.0.0.3", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}
    ]
    assert asked(sample, "ProgramExternalConnectivity")[0]["Options"] == told["Options"]


@pytest.mark.parametrize(("interface", "words"), [
    ({"Address": "10.0.0.4/24"}, "driver modified interface address: 10.0.0.3/24 became 10.0.0.4/24"),
    ({"AddressIPv6": "nonsense"}, "invalid CIDR address: nonsense"),
])  # fmt: skip
async def test_what_was_granted_is_not_the_plugin_s_to_change(
    driver: Remote, sample: Sample, interface: dict[str, str], words: str
) -> None:
    sample.methods["NetworkDriver.CreateEndpoint"] = lambda _: {"Interface": interface}
    with pytest.raises(System) as error:
        await driver.join(NETWORK, ENDPOINT, "/x")
    assert error.value.message == words
    assert len(asked(sample, "DeleteEndpoint")) == 1


async def test_a_gateway_may_be_another_or_none(driver: Remote, sample: Sample) -> None:
    sample.methods["NetworkDriver.Join"] = lambda _: {
        "Gateway": "10.0.0.254",
        "InterfaceName": {"DstPrefix": "w"},
    }
    joined = await driver.join(NETWORK, ENDPOINT, "/x")
    assert (joined.gateway, joined.interface) == ("10.0.0.254", "w0")
    sample.methods["NetworkDriver.Join"] = lambda _: {"DisableGatewayService": True}
    assert (await driver.join(NETWORK, ENDPOINT, "/x")).gateway == ""


async def test_a_join_that_fails_is_undone(driver: Remote, sample: Sample) -> None:
    sample.methods["NetworkDriver.Join"] = lambda _: {"InterfaceName": {"SrcName": "nowhere0"}}
    with pytest.raises(NotFound):
        await driver.join(NETWORK, ENDPOINT, "/x")
    assert (len(asked(sample, "Leave")), len(asked(sample, "DeleteEndpoint"))) == (1, 1)


async def test_gateways_are_its_choice_if_it_wants(driver: Remote, sample: Sample) -> None:
    assert await driver.gateways({}) == {4, 6}
    sample.methods["NetworkDriver.GetCapabilities"] = lambda _: {"Scope": "local", "GwAllocChecker": True}
    sample.methods["NetworkDriver.GwAllocCheck"] = lambda _: {"SkipIPv6": True}
    choosing = await Remote.of(driver.plugin)
    assert await choosing.gateways({}) == {4}
    await choosing.close()


async def test_one_that_does_not_say_what_it_is_is_none(driver: Remote, sample: Sample) -> None:
    sample.methods["NetworkDriver.GetCapabilities"] = lambda _: {"Scope": "universe"}
    with pytest.raises(System, match="invalid capability: expecting 'local' or 'global', got universe"):
        await Remote.of(driver.plugin)


async def test_drivers_are_found_by_name(driver: Remote, plugins: LegacyPlugins) -> None:
    lookup = DriverLookup({"own": driver}, plugins)
    assert await lookup.find("own") is driver
    found = await lookup.find("sample")
    assert await lookup.find("sample") is found
    assert lookup.all() == [driver, found]
    for absent in (lookup, DriverLookup({})):
        with pytest.raises(NotFound, match=r'^plugin "x" not found'):
            await absent.find("x")
    await found.close()
