"""This file is about bridges and what is plugged into them, as the kernel sees them. All of it blocks."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_interface
from pathlib import Path

from moby.core.errors import Conflict, MobyError
from moby.core.networks import Endpoint
from moby.host import namespaces, netlink, sysctl
from moby.host.files import translation

_EVERYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge as it should be; `alone` means that it has no other IPv4 address than this."""

    name: str
    address: IPv4Interface
    mtu: int
    alone: bool = False


def address_of(name: str, within: str = "") -> IPv4Interface | None:
    """The bridge's IPv4 address, the one inside `within` if it has several; None without any."""
    with netlink.RoutingSocket() as routing:
        link = netlink.find_link(routing, name)
        if link is None:
            return None
        found = _ipv4(routing, link.index)
    if within:
        area = IPv4Network(within, strict=False)
        found.sort(key=lambda address: area.network_address not in address.network)
    return found[0] if found else None


def mend(bridge: Bridge) -> int:
    """Make the bridge, or what it lacks; its index. Raises Conflict if another device is called so."""
    with netlink.RoutingSocket() as routing:
        link = netlink.find_link(routing, bridge.name)
        if link is None:
            routing.change([netlink.create_bridge(bridge.name, _random_mac(), bridge.mtu or 1500)])
            link = netlink.find_link(routing, bridge.name)
            sysctl.write_if_there(f"net/ipv6/conf/{bridge.name}/accept_ra", "0")
        if link is None or link.kind != "bridge":
            raise Conflict(f"existing interface {bridge.name} is not a bridge")
        changes = [netlink.add_address(link.index, bridge.address)]
        if bridge.alone:
            others = (address for address in _ipv4(routing, link.index) if address != bridge.address)
            changes = [*(netlink.delete_address(link.index, other) for other in others), *changes]
        routing.change([*changes, netlink.set_link(index=link.index, up=True)])
    return link.index


def remove(name: str) -> None:
    """Remove a bridge; no error if it is gone."""
    with netlink.RoutingSocket() as routing:
        if netlink.find_link(routing, name) is not None:
            routing.change([netlink.delete_link(name)])


def routes_packets() -> bool:
    """Does the host route IPv4?"""
    return sysctl.read("net.ipv4.ip_forward") == "1"


def route_packets() -> None:
    """Let the host route IPv4."""
    sysctl.write("net.ipv4.ip_forward", "1")


def frames_are_filtered() -> bool:
    """Does the packet filter see what goes from port to port of a bridge (br_netfilter)?"""
    return sysctl.read("net.bridge.bridge-nf-call-iptables") == "1"


def plug_name(endpoint: Endpoint) -> str:
    """The host's end of an endpoint's veth pair."""
    return f"veth{endpoint.id[:11]}"


def mac_for(address: IPv4Address) -> str:
    """A local address made from the IPv4 address: who remembers the one for the other is never wrong."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x42" + address.packed)


def plug(endpoint: Endpoint, bridge: int, mtu: int, port: bytes, sandbox: str) -> None:
    """Connect the sandbox to the bridge with index `bridge`, by a veth pair that ends in it as its interface.

    Two batches: one here, one inside. Raises NotFound without a sandbox.
    """
    name = plug_name(endpoint)
    with translation("open network namespace"):
        namespace = os.open(sandbox, os.O_RDONLY | os.O_CLOEXEC)
    try:
        veth = netlink.Veth(name, bridge, mtu or 1500, endpoint.interface, endpoint.mac_address, namespace)
        with netlink.RoutingSocket() as routing:
            routing.change([netlink.create_veth(veth), netlink.set_link(name=name, up=True, port=port)])
    finally:
        os.close(namespace)
    try:
        routing, index = namespaces.inside(sandbox, lambda: _enter(endpoint.interface))
        with routing:
            routing.change(_configuration(endpoint, index))
    except MobyError:
        unplug(endpoint)
        raise


def _enter(interface: str) -> tuple[netlink.RoutingSocket, int]:
    """Inside the namespace: a socket that stays there, and the interface's index."""
    with translation(f"find {interface}"):
        index = socket.if_nametoindex(interface)
    sysctl.write_if_there(f"net/ipv6/conf/{interface}/disable_ipv6", "1")
    return netlink.RoutingSocket(), index


def _configuration(endpoint: Endpoint, index: int) -> list[netlink.Request]:
    changes = [
        netlink.add_address(index, ip_interface(endpoint.ipv4)),
        netlink.set_link(index=index, up=True),
    ]
    if endpoint.gateway and endpoint.default_route:
        changes.append(netlink.add_route(_EVERYWHERE, IPv4Address(endpoint.gateway), index))
    return changes


def reroute(endpoint: Endpoint, sandbox: str) -> None:
    """Have the sandbox's default route lead out of this endpoint's interface."""
    with translation(f"find {endpoint.interface}"):
        routing, index = namespaces.inside(
            sandbox, lambda: (netlink.RoutingSocket(), socket.if_nametoindex(endpoint.interface))
        )
    with routing:
        routing.change([netlink.add_route(_EVERYWHERE, IPv4Address(endpoint.gateway), index)])


def unplug(endpoint: Endpoint) -> None:
    """Remove the veth pair; no error if it is gone."""
    with netlink.RoutingSocket() as routing:
        if netlink.find_link(routing, plug_name(endpoint)) is not None:
            routing.change([netlink.delete_link(plug_name(endpoint))])


def replug(endpoints: list[Endpoint], bridge: int, port: bytes) -> None:
    """Put veth ends that are on no bridge back on this one, as after it was deleted and made again."""
    with netlink.RoutingSocket() as routing:
        masters = {link.name: link.master for link in netlink.links(routing)}
        for endpoint in endpoints:
            name = plug_name(endpoint)
            if name in masters and masters[name] != bridge:
                routing.change(
                    [
                        netlink.set_link(name=name, master=bridge, up=True),
                        netlink.set_link(name=name, up=True, port=port),
                    ]
                )


def host_networks() -> list[IPv4Network]:
    """What the host is on or has routes to, other than its default route."""
    with netlink.RoutingSocket() as routing:
        found = {route.destination for route in netlink.routes(routing)}
        found |= {address.network for _, address in netlink.addresses(routing)}
    return [network for network in found if isinstance(network, IPv4Network) and network.prefixlen]


def is_docker_running(processes: Path = Path("/proc")) -> bool:
    """Does a Docker daemon that is not ours run in our network namespace?"""
    ours = os.stat("/proc/self/ns/net").st_ino
    for entry in processes.glob("[0-9]*"):
        try:
            if entry.joinpath("comm").read_text().strip() != "dockerd":
                continue
            program = os.path.basename(os.readlink(entry / "exe"))
            if program.startswith("dockerd") and entry.joinpath("ns/net").stat().st_ino == ours:
                return True
        except OSError:
            continue
    return False


def _ipv4(routing: netlink.RoutingSocket, index: int) -> list[IPv4Interface]:
    return [
        address
        for owner, address in netlink.addresses(routing)
        if owner == index and isinstance(address, IPv4Interface)
    ]


def _random_mac() -> str:
    """Local and unicast."""
    raw = bytearray(secrets.token_bytes(6))
    raw[0] = raw[0] & 0xFE | 0x02
    return raw.hex(":")
