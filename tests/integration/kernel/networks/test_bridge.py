"""Sandboxes on a bridge: among themselves, to the outside, and through published ports."""

from __future__ import annotations

import socket

import pytest

from moby.core.errors import Conflict
from moby.core.networks import PortMapping
from moby.host import namespaces, netlink, sysctl
from moby.networks import bridge_device
from moby.networks.settings import BridgeSettings
from tests.integration.kernel.networks.machine import (
    Machine,
    Outside,
    address,
    client_socket,
    is_unreachable,
    links,
    request,
    serve,
    talk,
    wait_until,
)

pytestmark = pytest.mark.kernel


async def test_sandboxes_see_each_other_as_they_are(machine: Machine) -> None:
    async with machine.running() as networks:
        one, two = await networks.open(request(1)), await networks.open(request(2))
        with serve(one.path, 80) as server:
            assert talk(server, two.path, address(one), 80) == address(two)
        gateway = one.endpoints[0].gateway
        with serve("", 0) as server:
            assert talk(server, one.path, gateway, server.getsockname()[1]) == address(one)


async def test_the_host_s_end_makes_itself_no_address(machine: Machine) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1))
        end = bridge_device.plug_name(one.endpoints[0])
        assert sysctl.read(f"net/ipv6/conf/{end}/addr_gen_mode") == "1"


async def test_what_goes_out_has_the_host_s_address(machine: Machine, outside: Outside) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1))
        with serve(outside.path, 80) as server:
            assert talk(server, one.path, outside.theirs, 80) == outside.ours


async def test_a_published_port_is_reached_from_everywhere(machine: Machine, outside: Outside) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1, PortMapping("tcp", 80)))
        two = await networks.open(request(2))
        port = one.endpoints[0].ports[0].host_port
        gateway = one.endpoints[0].gateway
        with serve(one.path, 80) as server:
            assert talk(server, "", "127.0.0.1", port) == gateway
            assert talk(server, "", outside.ours, port)
            assert talk(server, outside.path, outside.ours, port) == outside.theirs
            assert talk(server, two.path, outside.ours, port)
            assert talk(server, one.path, gateway, port) == gateway, "by way of the host to itself"


async def test_udp_is_published_too(machine: Machine, outside: Outside) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1, PortMapping("udp", 53)))
        port = one.endpoints[0].ports[0].host_port
        with client_socket(one.path, socket.SOCK_DGRAM) as server:
            server.bind(("0.0.0.0", 53))
            for path, host in (("", "127.0.0.1"), (outside.path, outside.ours)):
                with client_socket(path, socket.SOCK_DGRAM) as client:
                    client.connect((host, port))
                    client.send(b"question")
                    question, peer = server.recvfrom(100)
                    server.sendto(b"answer to " + question, peer)
                    assert client.recv(100) == b"answer to question"


async def test_a_port_on_one_address_is_reached_there_alone(machine: Machine, outside: Outside) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1, PortMapping("tcp", 80, "127.0.0.1")))
        port = one.endpoints[0].ports[0].host_port
        with serve(one.path, 80) as server:
            assert talk(server, "", "127.0.0.1", port)
            assert is_unreachable(outside.path, outside.ours, port)
            assert is_unreachable("", outside.ours, port)


async def test_nobody_outside_reaches_what_is_not_published(machine: Machine, outside: Outside) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1, PortMapping("tcp", 80)))
        with serve(one.path, 80), serve(one.path, 81):
            assert is_unreachable(outside.path, address(one), 81)
            assert is_unreachable(outside.path, address(one), 80), "only by way of the published port"


async def test_without_icc_only_published_ports_are_reached(machine: Machine) -> None:
    settings = BridgeSettings(bridge=machine.bridge, icc=False)
    async with machine.running(settings) as networks:
        one = await networks.open(request(1, PortMapping("tcp", 80)))
        two = await networks.open(request(2))
        port, gateway = one.endpoints[0].ports[0].host_port, one.endpoints[0].gateway
        with serve(one.path, 80) as server, serve(one.path, 81):
            assert is_unreachable(two.path, address(one), 81)
            assert is_unreachable(two.path, address(one), 80)
            assert talk(server, two.path, gateway, port)


async def test_the_administrator_s_rules_come_first_and_stay(machine: Machine, outside: Outside) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1, PortMapping("tcp", 80)))
        port = one.endpoints[0].ports[0].host_port
        machine.nftables.run(f"add rule ip moby user oifname {machine.bridge} ip saddr {outside.theirs} drop")
        with serve(one.path, 80):
            assert is_unreachable(outside.path, outside.ours, port)
    async with machine.running(live=(one.id,)):
        assert f"ip saddr {outside.theirs} drop" in machine.table()


async def test_taken_ports_are_refused_in_docker_s_words(machine: Machine) -> None:
    async with machine.running() as networks:
        one = await networks.open(request(1, PortMapping("tcp", 80)))
        port = one.endpoints[0].ports[0].host_port
        table, devices = machine.table(), links()
        with pytest.raises(
            Conflict,
            match=rf"^driver failed programming external connectivity on endpoint box2 \(\w{{64}}\): Bind for 0.0.0.0:{port} failed: port is already allocated$",
        ):
            await networks.open(request(2, PortMapping("tcp", 80, "", port, port)))
        with serve("", 0) as server:
            port = server.getsockname()[1]
            with pytest.raises(
                Conflict, match=f"failed to bind host port 0.0.0.0:{port}/tcp: address already in use"
            ):
                await networks.open(request(2, PortMapping("tcp", 80, "", port, port)))
        assert machine.table() == table
        assert wait_until(lambda: links() <= devices)
        assert [path.name for path in machine.netns.iterdir()] == [one.id]


async def test_a_closed_sandbox_leaves_nothing(machine: Machine) -> None:
    async with machine.running() as networks:
        before, devices = machine.table(), links()
        boxes = [
            await networks.open(request(n, PortMapping("tcp", 80), PortMapping("udp", 80))) for n in range(3)
        ]
        assert machine.table() != before
        for box in boxes:
            await networks.close(box.id)
            await networks.close(box.id)
        assert machine.table() == before
        assert list(machine.netns.iterdir()) == []
        assert await machine.store.load("sandboxes") == {}
        assert wait_until(lambda: links() <= devices, 1.0)


@pytest.mark.parametrize("mtu", [1400, 1234])
async def test_the_sandbox_s_device_is_as_docker_makes_it(machine: Machine, mtu: int) -> None:
    async with machine.running(BridgeSettings(bridge=machine.bridge, mtu=mtu)) as networks:
        one = await networks.open(request(1))
        with namespaces.inside(one.path, netlink.RoutingSocket) as routing:
            found = {link.name: link for link in netlink.links(routing)}
        assert found["lo"].up
        assert (found["eth0"].index, found["eth0"].mtu, found["eth0"].up) == (2, mtu, True)
        assert found["eth0"].mac == one.endpoints[0].mac_address
        # With less than 1280 bytes there is no IPv6 to disable.
        disabled = namespaces.inside(one.path, lambda: sysctl.read("net.ipv6.conf.eth0.disable_ipv6"))
        assert disabled == ("1" if mtu >= 1280 else None)
        assert one.endpoints[0].interface == "eth0"
        assert one.endpoints[0].mac_address.startswith("02:42:")
        network = await networks.find("bridge")
        assert network.options["com.docker.network.driver.mtu"] == str(mtu)
        assert network.options["com.docker.network.bridge.default_bridge"] == "true"


async def test_a_client_that_keeps_sending_reaches_the_next_container(
    machine: Machine, outside: Outside
) -> None:
    async with machine.running() as networks:
        with client_socket(outside.path, socket.SOCK_DGRAM) as client:
            port = 0
            for number in range(2):
                box = await networks.open(request(number, PortMapping("udp", 53, "", port, port)))
                port = box.endpoints[0].ports[0].host_port
                with client_socket(box.path, socket.SOCK_DGRAM) as server:
                    server.bind(("0.0.0.0", 53))
                    client.sendto(b"hello", (outside.ours, port))
                    assert server.recv(100) == b"hello"
                await networks.close(box.id)
                client.sendto(b"to nobody", (outside.ours, port))
