"""What the tests of networking act on: a controller over real drivers, and hosts outside."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from moby.core.networks import Attachment, PortMapping, Sandbox, SandboxRequest
from moby.core.store import Store
from moby.host import namespaces
from moby.host.nftables import Nftables
from moby.host.threads import Threads
from moby.networks import bridge_device
from moby.networks import firewall_forwarding as forwarding
from moby.networks import firewall_translation as translation
from moby.networks.controller import Controller
from moby.networks.drivers.bridge import Bridge
from moby.networks.drivers.host import Host
from moby.networks.drivers.none import NoNetwork
from moby.networks.firewall import sweep
from moby.networks.ipam import Ipam
from moby.networks.ipam.addressing import Addressing
from moby.networks.ipam.occupied import occupied
from moby.networks.lookup import DriverLookup
from moby.networks.ports import Ports
from moby.networks.settings import BridgeSettings


def ip(*words: str) -> str:
    """The `ip` command's output."""
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


class Machine:
    """A daemon's networking, which can be started again over the same state."""

    def __init__(self, directory: Path, store: Store, bridge: str, nftables: Nftables) -> None:
        self.directory = directory
        self.store = store
        self.bridge = bridge
        self.nftables = nftables
        self.netns = directory / "netns"

    @asynccontextmanager
    async def running(
        self, settings: BridgeSettings | None = None, live: tuple[str, ...] = ()
    ) -> AsyncIterator[Controller]:
        """One life of the daemon; at its end sandboxes stay, as after a crash."""
        threads = Threads("test", 1)
        ipam = Ipam(lambda: threads.run(occupied))
        bridge = Bridge(
            settings or BridgeSettings(bridge=self.bridge),
            ipam,
            Ports(),
            self.nftables,
            self.directory / "locks",
        )
        drivers = {"bridge": bridge, "host": Host(), "null": NoNetwork()}
        async with Controller(self.store, DriverLookup(drivers), Addressing(ipam), self.netns) as controller:
            await controller.restore(live)
            yield controller
        threads.close()

    def table(self) -> str:
        """What is the bridge's, and the administrator's chain, as nft prints it: others share a table with it."""
        own = f"chain ip moby to-{self.bridge}", f"set ip moby allowed-{self.bridge}", "chain ip moby user"
        listed = (f"table ip moby-{self.bridge}", *own)
        return "".join(self.nftables.run(f"list {what}") for what in listed)

    async def remove(self) -> None:
        """Everything that may be left."""
        for path in self.netns.iterdir() if self.netns.is_dir() else ():
            namespaces.remove(path)
        translated, forwarded = (
            translation.remove("ip", f"moby-{self.bridge}"),
            forwarding.remove("ip", self.bridge),
        )
        self.nftables.change([*translated, *forwarded])
        sweep(self.nftables)
        self.nftables.close()
        bridge_device.remove(self.bridge)


class Outside:
    """A host at 198.51.100.2 of a network of its own; ours is 198.51.100.1."""

    ours, theirs = "198.51.100.1", "198.51.100.2"

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = f"/run/netns/{name}"
        ip("netns", "add", name)
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"{self.ours}/24", "dev", name)
        ip("link", "set", name, "up")
        for words in (
            ("addr", "add", f"{self.theirs}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "via", self.ours),
        ):
            ip("-n", name, *words)

    def remove(self) -> None:
        """Take it down."""
        subprocess.run(["ip", "link", "delete", self.name], capture_output=True, check=False)
        ip("netns", "delete", self.name)


def request(number: int, *ports: PortMapping, network: str = "bridge") -> SandboxRequest:
    """Sandbox number so and so."""
    return SandboxRequest(
        f"{number:064x}", (Attachment(network),), container_name=f"box{number}", ports=ports
    )


def address(sandbox: Sandbox) -> str:
    """The sandbox's IPv4 address."""
    return sandbox.endpoints[0].ipv4.partition("/")[0]


def serve(path: str, port: int) -> socket.socket:
    """A server in a namespace; an empty path is the host's."""
    make: Callable[[], socket.socket] = lambda: socket.create_server(("0.0.0.0", port))  # noqa: E731
    server = namespaces.inside(path, make) if path else make()
    server.settimeout(2)
    return server


def talk(server: socket.socket, path: str, host: str, port: int) -> str:
    """Connect to `host` from a namespace and say hello; whom the server saw."""
    client = client_socket(path, socket.SOCK_STREAM)
    with client:
        client.connect((host, port))
        connection, peer = server.accept()
        with connection:
            connection.settimeout(2)
            client.sendall(b"hello")
            assert connection.recv(5) == b"hello"
    seen: str = peer[0]
    return seen


def client_socket(path: str, kind: socket.SocketKind) -> socket.socket:
    """A socket of a namespace, with a short patience."""
    make: Callable[[], socket.socket] = lambda: socket.socket(socket.AF_INET, kind)  # noqa: E731
    client = namespaces.inside(path, make) if path else make()
    client.settimeout(2)
    return client


def is_unreachable(path: str, host: str, port: int) -> bool:
    """Does nobody answer within a moment?"""
    with client_socket(path, socket.SOCK_STREAM) as client:
        client.settimeout(0.4)
        try:
            client.connect((host, port))
        except OSError:
            return True
    return False


def links() -> set[str]:
    """The host's network devices."""
    return {path.name for path in Path("/sys/class/net").iterdir()}


def wait_until(condition: Callable[[], bool], limit_s: float = 3.0) -> bool:
    """Does it become true in time?"""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
