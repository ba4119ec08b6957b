"""Every driver against the suite for drivers."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moby.core.networks import Endpoint, Network, NetworkDriver, PortMapping, Subnet
from moby.host import namespaces
from moby.networks.drivers.bridge import Bridge
from moby.networks.drivers.host import Host
from moby.networks.drivers.ipvlan import Ipvlan
from moby.networks.drivers.macvlan import Macvlan
from moby.networks.drivers.none import NoNetwork
from moby.networks.identity import new_id
from moby.networks.ipam import Ipam
from moby.networks.ports import Ports
from moby.networks.settings import BridgeSettings
from moby.testing.networks import NetworkDriverSuite
from tests.integration.kernel.networks.machine import Machine

pytestmark = pytest.mark.kernel


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "sandbox"
    namespaces.make(path, lambda: None)
    yield str(path)
    namespaces.remove(path)


def lacks(kind: str) -> bool:
    """Has this kernel no devices of this kind?"""
    command = ["unshare", "--net", "ip", "link", "add", "x0", "type", kind]
    with_parent = ["unshare", "--net", "ip", "link", "add", "link", "lo", "x0", "type", kind]
    done = subprocess.run(
        with_parent if kind == "ipvlan" else command, capture_output=True, text=True, check=False
    )
    return "Unknown device type" in done.stderr or "not supported" in done.stderr


@pytest.fixture
async def network(driver: NetworkDriver) -> Network:
    found = await driver.predefined(None)
    assert found is not None
    await driver.create(found)
    return found


@pytest.fixture
def endpoint(network: Network) -> Endpoint:
    return Endpoint(new_id(), network.id, network.name, "5" * 64)


class TestHost(NetworkDriverSuite):
    @pytest.fixture
    def driver(self) -> NetworkDriver:
        return Host()


class TestNone(NetworkDriverSuite):
    @pytest.fixture
    def driver(self) -> NetworkDriver:
        return NoNetwork()


class TestBridge(NetworkDriverSuite):
    @pytest.fixture
    async def driver(self, machine: Machine) -> AsyncIterator[NetworkDriver]:
        async def nothing() -> list[object]:
            return []

        settings = BridgeSettings(bridge=machine.bridge, fixed_cidr="10.232.0.0/24")
        found = Bridge(settings, Ipam(nothing), Ports(), machine.nftables, machine.directory)  # type: ignore[arg-type]
        yield found
        await found.close()

    @pytest.fixture
    def endpoint(self, network: Network) -> Endpoint:
        return Endpoint(
            new_id(),
            network.id,
            network.name,
            "5" * 64,
            interface="eth0",
            ipv4="10.232.0.9/24",
            gateway=network.subnets[0].gateway,
            ports=(PortMapping("tcp", 80),),
        )


class _OnParent(NetworkDriverSuite):
    """Drivers without a network that is always there."""

    @pytest.fixture
    async def network(self, driver: NetworkDriver) -> AsyncIterator[Network]:
        found = Network(new_id(), "wire", driver.name, "", subnets=(Subnet("10.233.0.0/24"),))
        await driver.create(found)
        yield found
        await driver.delete(found)

    @pytest.fixture
    def endpoint(self, network: Network) -> Endpoint:
        return Endpoint(new_id(), network.id, network.name, "5" * 64, interface="eth0", ipv4="10.233.0.9/24")


class TestMacvlan(_OnParent):
    @pytest.fixture
    async def driver(self) -> AsyncIterator[NetworkDriver]:
        found = Macvlan()
        yield found
        await found.close()


@pytest.mark.skipif(lacks("ipvlan"), reason="this kernel has no ipvlan devices")
class TestIpvlan(_OnParent):
    @pytest.fixture
    async def driver(self) -> AsyncIterator[NetworkDriver]:
        found = Ipvlan()
        yield found
        await found.close()
