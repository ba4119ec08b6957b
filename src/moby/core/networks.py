"""This file is about networks: what connects sandboxes, and what a driver has to do for it.

The words are the Container Network Model's: a *sandbox* is a container's network namespace with its
configuration, an *endpoint* joins one sandbox to one *network*, a *driver* makes networks of one kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv6Interface
from typing import Literal, NamedTuple, Protocol

import msgspec

from moby.core.idmaps import NO_MAP, IdMap

Transport = Literal["tcp", "udp", "sctp"]


class Subnet(msgspec.Struct, frozen=True):
    """An address pool of a network; all texts as `ipaddress` parses them, `gateway` without a length.

    `pool` is what a plugin that grants its addresses knows it by.
    """

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    aux_addresses: Mapping[str, str] = msgspec.field(default_factory=dict)
    pool: str = ""


class Network(msgspec.Struct, frozen=True):
    """A network as it is stored; `options` are the driver's (`com.docker.network.bridge.name`, ...).

    One that is `config_only` is a configuration for others, which name it as their `config_from`; it has no
    driver and nobody joins it. Addresses are granted by the plugin `ipam_driver`, by ourselves without one.
    """

    id: str
    name: str
    driver: str
    created: str
    scope: str = "local"
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    subnets: tuple[Subnet, ...] = ()
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    ipam_options: Mapping[str, str] | None = None
    config_only: bool = False
    config_from: str = ""
    ipam_driver: str = ""


class SubnetUse(NamedTuple):
    """How many of a subnet's addresses are taken, and how many are left to be granted."""

    taken: int
    free: int


class PortMapping(msgspec.Struct, frozen=True):
    """A container's port made reachable on the host; `host_port` 0 asks for any.

    No `host_ip` asks for every address of the families that the container has.
    """

    protocol: Transport
    container_port: int
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0


class Endpoint(msgspec.Struct, frozen=True):
    """A sandbox's place on a network, as it is stored; `ports` are the mappings as granted.

    `name` is the container's, as errors name it. The sandbox's default routes are those of the endpoints with
    `default_route` (IPv4) and `default_route6`. `links` are names that this container alone has for others;
    `link_local` are addresses beside the granted ones; `options` are the driver's, for this endpoint.
    """

    id: str
    network_id: str
    network_name: str
    sandbox_id: str
    interface: str = ""
    mac_address: str = ""
    ipv4: str = ""
    ipv6: str = ""
    gateway: str = ""
    gateway6: str = ""
    aliases: tuple[str, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    name: str = ""
    default_route: bool = True
    default_route6: bool = True
    links: Mapping[str, str] = msgspec.field(default_factory=dict)
    link_local: tuple[str, ...] = ()
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    priority: int = 0


class NetworkRequest(msgspec.Struct, frozen=True):
    """A network to make; without a subnet of a family it gets one of the pools'.

    One with `config_from` takes driver options, labels and subnets from the network of that name.
    """

    name: str
    driver: str = ""
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    subnets: Sequence[Subnet] = ()
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    ipam_options: Mapping[str, str] | None = None
    config_only: bool = False
    config_from: str = ""
    ipam_driver: str = ""


class Attachment(msgspec.Struct, frozen=True):
    """One network that a sandbox is to join; `network` is a name, an ID or its unique beginning.

    Of several networks the one with the highest `priority` gives the default route, the first by name if
    there are several. `links` are names for containers on this network, by the name that is used here.
    """

    network: str
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac_address: str = ""
    priority: int = 0
    links: Mapping[str, str] = msgspec.field(default_factory=dict)
    link_local: tuple[str, ...] = ()
    options: Mapping[str, str] = msgspec.field(default_factory=dict)


class SandboxRequest(msgspec.Struct, frozen=True):
    """A sandbox to make: `id` is the container's ID; `sysctls` are set inside; the name is for errors.

    `ports` are published by the network that gives the default route, on none if there is no way out. `dns`
    are the name servers that are asked for what is not on its networks; empty means the host's. `ndots` says
    that its user decided how many dots make a name complete: nobody else is asked for one without any.
    With `ids` it belongs to a user namespace of these users: the one at path `owner`, or a new one.
    """

    id: str
    attachments: tuple[Attachment, ...]
    sysctls: Mapping[str, str] = msgspec.field(default_factory=dict)
    container_name: str = ""
    dns: tuple[str, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    ndots: bool = False
    ids: IdMap = NO_MAP
    owner: str = ""


class Sandbox(msgspec.Struct, frozen=True):
    """A sandbox as it stands: `path` is its namespace file, empty for the host's own; the rest as asked.

    `users` is the file of the user namespace that it belongs to, empty for the host's own.
    """

    id: str
    path: str
    endpoints: tuple[Endpoint, ...] = ()
    dns: tuple[str, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    ndots: bool = False
    users: str = ""


class Address(msgspec.Struct, frozen=True):
    """What IPAM granted an endpoint."""

    ipv4: IPv4Interface | None = None
    ipv6: IPv6Interface | None = None
    gateway: str = ""
    gateway6: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Every granted address."""
        return tuple(str(address) for address in (self.ipv4, self.ipv6) if address is not None)


class NetworkDriver(Protocol):
    """Makes networks of one kind.

    A driver that `makes_gateways` has an address of each of a network's subnets for itself, the sandboxes'
    gateway; for others a gateway is somebody else's, and there is one if the user named it. An endpoint's
    `default_route` says whether its network's gateway is the sandbox's, and its `ports` what it publishes;
    `reroute` changes both for one that has joined before.

    Life: at each start `predefined` says which network of this kind is always there, then `create` makes
    every stored network's parts in the kernel; it takes what is already there as it is and mends it.
    `restore` follows with the endpoints of the sandboxes that still live: their ports are theirs again, and
    whatever the kernel holds for others is dropped. `join` puts an interface into a sandbox; `leave` takes it
    out, where a sandbox that is being closed takes its interfaces with it; `delete` removes the network's
    parts when the last endpoint is gone. `close` ends the driver, not its networks: containers outlive us.
    Cancellation: after a cancelled `join` the sandbox has the interface or not, and no port is held for it.
    """

    name: str
    makes_gateways: bool
    scope: Literal["local", "global"] = "local"

    async def gateways(self, options: Mapping[str, str]) -> frozenset[int]:
        """The versions of IP for which a network with these options has an address for itself."""
        return frozenset({4, 6}) if self.makes_gateways else frozenset()

    async def predefined(self, stored: Network | None, *, used: bool = False) -> Network | None:
        """The network that is always there, if there is one; `stored` is what it was when we last ran.

        While it is `used`, by sandboxes that outlived us, it stays as it was, whatever the settings say.
        Raises Conflict if what it must have is another's, InvalidParameter for settings.
        """
        ...

    async def create(self, network: Network) -> None:
        """Make or mend the network. Raises InvalidParameter for options, Conflict for what is in use."""
        ...

    async def delete(self, network: Network) -> None:
        """Remove the network's parts; no error for parts that are gone."""
        ...

    async def join(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """Connect the namespace at path `sandbox`; the endpoint with interface, MAC and granted ports.

        Raises Conflict if a host port is taken, naming it as dockerd does.
        """
        ...

    async def restore(self, network: Network, endpoints: Sequence[Endpoint]) -> None:
        """Take the endpoints that survived a restart into account: all there are on this network."""
        ...

    async def leave(self, network: Network, endpoint: Endpoint, sandbox: str, *, closing: bool) -> None:
        """Disconnect: free ports, and the interface too unless the whole sandbox is `closing`."""
        ...

    async def reroute(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """Have the sandbox's default routes and published ports be as `endpoint` says; with granted ports.

        Raises Conflict if a host port is taken.
        """
        ...

    async def close(self) -> None:
        """We end: give back what ends with us; what containers use stays."""
        ...


class Networks(Protocol):
    """What an engine asks of networking: networks by name, and sandboxes that join them.

    Life of a sandbox: `open` makes the namespace and joins every network, all or nothing; `close` leaves
    them and frees the namespace; both are on disk before they return, so that a restart finds every
    sandbox again (`restore` tells which of them still live; the others are closed).
    """

    async def find(self, name: str) -> Network:
        """By name, ID or unique beginning of an ID. Raises NotFound (`network NAME not found`)."""
        ...

    async def endpoints(self, network: str) -> Sequence[Endpoint]:
        """The endpoints on a network, by network ID."""
        ...

    async def standing(self, sandbox: str) -> Sandbox | None:
        """A sandbox as it stands; None if it is not open."""
        ...

    async def open(self, request: SandboxRequest) -> Sandbox:
        """Make a sandbox. Raises NotFound for a network, Conflict for a port or an address."""
        ...

    async def close(self, sandbox: str) -> None:
        """Free a sandbox and all it holds; no error if it is not there."""
        ...

    async def make(self, request: NetworkRequest) -> Network:
        """A new network, on disk and in the kernel. Raises Conflict, NotFound, Forbidden."""
        ...

    async def remove(self, name: str) -> Network:
        """Take a network apart. Raises NotFound, Forbidden while somebody is on it."""
        ...

    async def connect(self, sandbox: str, attachment: Attachment, container_name: str = "") -> Sandbox:
        """Have a sandbox that is open join one network more. Raises as `open`, Forbidden if it is on it."""
        ...

    async def disconnect(self, sandbox: str, network: str) -> Sandbox:
        """Have a sandbox leave a network. Raises NotFound if it is not on it."""
        ...

    async def publish(self, sandbox: str, ports: tuple[PortMapping, ...]) -> Sandbox:
        """Publish these ports of a sandbox that is open, and no others.

        Raises NotFound, and Conflict for a taken port: then those from before are published.
        """
        ...

    async def rename(self, sandbox: str, name: str, aliases: Mapping[str, tuple[str, ...]]) -> None:
        """A container has another name, and others find it by other ones: `aliases`, by network ID.

        No error if the sandbox is not open.
        """
        ...

    def usage(self, network: str) -> Mapping[str, SubnetUse]:
        """How full the subnets of a network are, by subnet."""
        ...

    async def restore(self, live: Sequence[str]) -> None:
        """At start: keep the sandboxes named, close all others."""
        ...

    async def list(self) -> Sequence[Network]:
        """Every network."""
        ...
