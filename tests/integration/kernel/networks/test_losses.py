"""What others take from the kernel is heard of; what a closed sandbox leaves behind goes."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from moby.core.networks import PortMapping
from moby.host.netlink import Losses, Watch
from moby.host.nftables import Nftables
from moby.networks.bridge_device import plug_name
from tests.integration.kernel.networks.machine import (
    Machine,
    address,
    client_socket,
    links,
    request,
    serve,
)

pytestmark = pytest.mark.kernel
T = TypeVar("T")


def apart(function: Callable[[], T]) -> T:
    """In a thread with a network namespace of its own, so that nobody else is heard."""
    import ctypes

    found: list[T] = []

    def run() -> None:
        assert ctypes.CDLL(None).unshare(0x40000000) == 0
        found.append(function())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_tables_that_others_take_are_told_and_ours_are_not() -> None:
    def act() -> tuple[Losses, Losses, Losses]:
        watch, nftables = Watch(), Nftables()
        try:
            nftables.run("add table ip moby-x\nadd chain ip moby-x c\nadd rule ip moby-x c drop")
            nftables.run("flush chain ip moby-x c\nadd rule ip moby-x c drop")
            ours = watch.losses()
            subprocess.run(["nft", "flush", "chain", "ip", "moby-x", "c"], check=True)
            chain = watch.losses()
            subprocess.run(["nft", "flush", "ruleset"], check=True)
            return ours, chain, watch.losses()
        finally:
            watch.close()
            nftables.close()

    ours, chain, ruleset = apart(act)
    assert not ours
    assert chain.tables == ruleset.tables == {"moby-x"}


def test_devices_and_addresses_are_told() -> None:
    def act() -> tuple[Losses, int, Losses]:
        watch = Watch()
        try:
            for command in ("link add br0 type bridge", "address add 10.1.1.1/24 dev br0"):
                subprocess.run(["ip", *command.split()], check=True)
            index = socket.if_nametoindex("br0")
            assert not watch.losses()
            subprocess.run(["ip", "address", "flush", "dev", "br0"], check=True)
            addresses = watch.losses()
            subprocess.run(["ip", "link", "delete", "br0"], check=True)
            return addresses, index, watch.losses()
        finally:
            watch.close()

    addresses, index, devices = apart(act)
    assert addresses.addresses == {index}
    assert devices.links == {"br0"}


async def test_a_sandbox_that_a_connection_keeps_loses_its_device(machine: Machine) -> None:
    async with machine.running() as networks:
        one, two = await networks.open(request(1, PortMapping("tcp", 80))), await networks.open(request(2))
        with serve(one.path, 80) as server, client_socket(two.path, socket.SOCK_STREAM) as client:
            client.connect((address(one), 80))
            connection, _ = server.accept()
            # Answers are waited for that never come: nothing gets through any more.
            machine.nftables.run(f"insert rule ip moby to-{machine.bridge} drop")
            connection.sendall(b"x" * 100)
            connection.close()
            await networks.close(one.id)
        name = plug_name(one.endpoints[0])
        async with asyncio.timeout(30):
            while name in links():
                await asyncio.sleep(0.1)
        await networks.close(two.id)
