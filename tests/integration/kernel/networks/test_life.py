"""Over restarts, faults and cancellation: what was acknowledged is there, nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from moby.core.errors import Conflict, MobyError, NotFound, System
from moby.core.networks import Attachment, NetworkRequest, PortMapping, SandboxRequest
from moby.host import namespaces, sysctl
from moby.networks import bridge_device
from moby.networks.settings import BridgeSettings
from tests.integration.kernel.networks.machine import (
    Machine,
    address,
    links,
    request,
    serve,
    talk,
    wait_until,
)

pytestmark = pytest.mark.kernel

WEB = PortMapping("tcp", 80)


async def test_a_restart_finds_what_lives_and_closes_the_rest(machine: Machine) -> None:
    async with machine.running() as networks:
        one, two = await networks.open(request(1, WEB)), await networks.open(request(2, WEB))
        id_ = (await networks.find("bridge")).id
    stray = machine.netns / "stray"
    namespaces.make(stray, lambda: None)
    async with machine.running(live=(one.id,)) as networks:
        assert (await networks.find("bridge")).id == id_
        assert await networks.endpoints(id_) == list(one.endpoints)
        assert [path.name for path in machine.netns.iterdir()] == [one.id]
        assert address(two) not in machine.table()
        port = one.endpoints[0].ports[0].host_port
        with serve(one.path, 80) as server:
            assert talk(server, "", "127.0.0.1", port)
        with pytest.raises(Conflict, match="port is already allocated"):
            await networks.open(request(3, PortMapping("tcp", 80, "", port, port)))
        assert address(await networks.open(request(4))) != address(one)


async def test_what_could_not_be_made_whole_is_taken_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(version: int) -> bool:
        raise System(f"not today: {version}")

    async with machine.running() as networks:
        before = links(), machine.nftables.run("list tables")
        with monkeypatch.context() as patch:
            patch.setattr(bridge_device, "frames_are_filtered", fail)
            with pytest.raises(System, match="not today: 4"):
                await networks.make(NetworkRequest("half"))
        assert wait_until(lambda: (links(), machine.nftables.run("list tables")) == before)
        await networks.remove((await networks.make(NetworkRequest("half"))).name)


async def test_a_sandbox_whose_namespace_is_gone_is_forgotten(machine: Machine) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1, WEB))
    namespaces.remove(machine.netns / one.id)
    async with machine.running(live=(one.id,)) as networks:
        assert await networks.endpoints((await networks.find("bridge")).id) == []
        assert address(one) not in machine.table()


async def test_a_bridge_and_a_table_that_were_deleted_are_made_again(machine: Machine) -> None:
    async with machine.running() as networks:
        one, two = await networks.open(request(1, WEB)), await networks.open(request(2))
    machine.nftables.run(f"delete table ip moby-{machine.bridge}")
    bridge_device.remove(machine.bridge)
    async with machine.running(live=(one.id, two.id)):
        port = one.endpoints[0].ports[0].host_port
        with serve(one.path, 80) as server:
            assert talk(server, two.path, address(one), 80) == address(two)
            assert talk(server, "", "127.0.0.1", port)


async def test_what_is_deleted_while_we_run_is_made_again_by_the_next_sandbox(machine: Machine) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1, WEB))
        machine.nftables.run(f"delete table ip moby-{machine.bridge}")
        two = await networks.open(request(2, WEB))
        for box in (one, two):
            with serve(box.path, 80) as server:
                assert talk(server, "", "127.0.0.1", box.endpoints[0].ports[0].host_port)
        bridge_device.remove(machine.bridge)
        three = await networks.open(request(3, WEB))
        for box in (one, two, three):
            with serve(box.path, 80) as server:
                assert talk(server, "", "127.0.0.1", box.endpoints[0].ports[0].host_port)
        machine.nftables.run(f"delete table ip moby-{machine.bridge}")
        await networks.close(one.id)


async def test_many_at_once(machine: Machine) -> None:
    async with machine.running() as networks:
        boxes = await asyncio.gather(*(networks.open(request(n, WEB)) for n in range(32)))
        assert len({address(box) for box in boxes}) == 32
        assert len({box.endpoints[0].ports[0].host_port for box in boxes}) == 32
        await asyncio.gather(*(networks.close(box.id) for box in boxes))
        assert list(machine.netns.iterdir()) == []


@pytest.mark.parametrize("delay_ms", [0, 0.3, 0.8, 1.5, 2.5, 4])
async def test_a_cancelled_open_leaves_nothing(machine: Machine, delay_ms: float) -> None:
    async with machine.running() as networks:
        before, devices = machine.table(), links()
        task = asyncio.get_running_loop().create_task(networks.open(request(1, WEB)))
        await asyncio.sleep(delay_ms / 1000)
        task.cancel()
        try:
            box = await task
        except asyncio.CancelledError:
            pass
        else:
            await networks.close(box.id)
        assert machine.table() == before
        assert list(machine.netns.iterdir()) == []
        assert await machine.store.load("sandboxes") == {}
        assert wait_until(lambda: links() <= devices)


async def test_what_fails_inside_leaves_nothing(machine: Machine) -> None:
    async with machine.running() as networks:
        before = machine.table()
        wrong = SandboxRequest(f"{1:064x}", (Attachment("bridge"),), {"net.no_such_thing": "1"}, ports=(WEB,))
        with pytest.raises(MobyError):
            await networks.open(wrong)
        assert machine.table() == before
        assert list(machine.netns.iterdir()) == []


async def test_sysctls_are_set_inside_alone(machine: Machine) -> None:
    async with machine.running() as networks:
        name = "net.ipv4.ip_default_ttl"
        outside = sysctl.read(name)
        asked = SandboxRequest(f"{1:064x}", (Attachment("bridge"),), {name: "33"})
        one = await networks.open(asked)
        assert namespaces.inside(one.path, lambda: sysctl.read(name)) == "33"
        assert sysctl.read(name) == outside


async def test_none_and_host(machine: Machine) -> None:
    async with machine.running() as networks:
        none = await networks.open(request(1, network="none"))
        assert none.endpoints[0].interface == none.endpoints[0].ipv4 == ""
        inside = namespaces.inside(none.path, lambda: sysctl.read("net.ipv4.conf.lo.forwarding"))
        assert inside is not None
        host = await networks.open(request(2, network="host"))
        assert host.path == ""
        assert {network.name for network in await networks.list()} == {"bridge", "host", "none"}
        with pytest.raises(NotFound, match=r"^network nowhere not found$"):
            await networks.open(request(3, network="nowhere"))


async def test_networks_are_found_by_name_and_id(machine: Machine) -> None:
    async with machine.running() as networks:
        bridge = await networks.find("bridge")
        assert await networks.find(bridge.id) == await networks.find(bridge.id[:12]) == bridge
        assert await networks.find("default") == bridge


async def test_an_address_of_its_own_for_the_bridge(machine: Machine) -> None:
    async with machine.running() as networks:
        subnet = (await networks.find("bridge")).subnets[0].subnet
    bridge_device.remove(machine.bridge)
    async with machine.running() as networks:
        again = (await networks.find("bridge")).subnets[0]
        assert again.subnet == subnet, "a free subnet that was ours stays ours"
        assert str(bridge_device.address_of(machine.bridge)) == f"{again.gateway}/16"


async def test_fixed_cidr_limits_addresses(machine: Machine) -> None:
    settings = BridgeSettings(bridge=machine.bridge, fixed_cidr="10.231.7.16/29")
    async with machine.running(settings) as networks:
        boxes = [await networks.open(request(n)) for n in range(3)]
        assert [address(box) for box in boxes] == ["10.231.7.18", "10.231.7.19", "10.231.7.20"]


async def test_a_bridge_of_another_daemon_is_refused(machine: Machine) -> None:
    async with machine.running():
        with pytest.raises(Conflict, match="in use by another daemon"):
            async with machine.running():
                pass


async def test_no_default_bridge(machine: Machine) -> None:
    async with machine.running(BridgeSettings(bridge="none")) as networks:
        assert {network.name for network in await networks.list()} == {"host", "none"}
