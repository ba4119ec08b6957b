"""This file is about bridges and what is plugged into them, as the kernel sees them. All of it blocks."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from pathlib import Path

import msgspec

from moby.core.errors import Conflict, MobyError, NotImplemented
from moby.core.networks import Endpoint
from moby.host import namespaces, netlink, sysctl
from moby.host.files import translation

AnyInterface = IPv4Interface | IPv6Interface

_EVERYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
_ROUTING = {4: ("net.ipv4.ip_forward",), 6: ("net.ipv6.conf.all.forwarding",)}
_FILTERED = {4: "net.bridge.bridge-nf-call-iptables", 6: "net.bridge.bridge-nf-call-ip6tables"}
_NOTE = "made for docker networks"
_OURS = re.compile(r"veth[0-9a-f]{11}")
_LINK_LOCAL = IPv6Interface("fe80::1/64")


class Bridge(msgspec.Struct, frozen=True):
    """A bridge as it should be; `alone` means that it has no other IPv4 address than these."""

    name: str
    addresses: tuple[AnyInterface, ...]
    mtu: int
    alone: bool = False
    ipv6: bool = False


def address_of(name: str, within: str = "", version: int = 4) -> AnyInterface | None:
    """The bridge's address of a family, the one inside `within` if it has several; None without any."""
    with netlink.RoutingSocket() as routing:
        link = netlink.find_link(routing, name)
        if link is None:
            return None
        found = [
            address
            for address in _addresses(routing, link.index)
            if address.version == version and not address.is_link_local
        ]
    if within:
        area = ip_network(within, strict=False)
        found.sort(key=lambda address: area.network_address not in address.network)
    return found[0] if found else None


def has_ports(name: str) -> bool:
    """Is anything plugged into the bridge?"""
    with netlink.RoutingSocket() as routing:
        link = netlink.find_link(routing, name)
        return link is not None and bool(netlink.links(routing, link.index))


def mend(bridge: Bridge) -> int:
    """Make the bridge, or what it lacks; its index. Raises Conflict if another device is called so."""
    with netlink.RoutingSocket() as routing:
        link = netlink.find_link(routing, bridge.name)
        if link is None:
            routing.change(
                [
                    netlink.create_bridge(bridge.name, _random_mac(), bridge.mtu or 1500),
                    netlink.set_alias(bridge.name, _NOTE),
                ]
            )
            link = netlink.find_link(routing, bridge.name)
            sysctl.write_if_there(f"net/ipv6/conf/{bridge.name}/accept_ra", "0")
        if link is None or link.kind != "bridge":
            raise Conflict(f"existing interface {bridge.name} is not a bridge")
        if bridge.ipv6:
            _allow_ipv6(bridge.name)
        wanted = [*bridge.addresses, *([_LINK_LOCAL] if bridge.ipv6 and bridge.addresses else [])]
        changes = [netlink.add_address(link.index, address) for address in wanted]
        if bridge.alone:
            others = [
                address
                for address in _addresses(routing, link.index)
                if address.version == 4 and address not in bridge.addresses
            ]
            changes = [*(netlink.delete_address(link.index, other) for other in others), *changes]
        routing.change([*changes, netlink.set_link(index=link.index, up=True)])
    return link.index


def _allow_ipv6(name: str) -> None:
    setting = f"net/ipv6/conf/{name}/disable_ipv6"
    if sysctl.read(setting) is None:
        raise NotImplemented("IPv6 networks are not supported by this kernel")
    sysctl.write(setting, "0")


def remove(name: str) -> None:
    """Remove a bridge that we made; no error if it is gone."""
    with netlink.RoutingSocket() as routing:
        link = netlink.find_link(routing, name)
    if link is not None and link.alias == _NOTE:
        netlink.remove_link(link)


def remove_all(names: Iterable[str]) -> None:
    """Remove devices; no error for those that are gone."""
    with netlink.RoutingSocket() as routing:
        for name in names:
            if (link := netlink.find_link(routing, name)) is not None:
                netlink.remove_link(link)


def strangers(bridge: int, endpoints: Iterable[Endpoint]) -> list[str]:
    """The veth ends of ours on a bridge that belong to none of these endpoints."""
    known = {plug_name(endpoint) for endpoint in endpoints}
    with netlink.RoutingSocket() as routing:
        return [
            link.name
            for link in netlink.links(routing, bridge)
            if link.kind == "veth" and _OURS.fullmatch(link.name)
            if link.name not in known
        ]


def routes_packets(version: int = 4) -> bool:
    """Does the host route packets of this family?"""
    return all(sysctl.read(name) == "1" for name in _ROUTING[version])


def route_packets(version: int = 4) -> None:
    """Let the host route packets of this family; of IPv6, without giving up a route of its own.

    A host that routes IPv6 takes no router's advertisements any more, unless told to.
    """
    if version == 6:
        for directory in Path("/proc/sys/net/ipv6/conf").iterdir():
            if sysctl.read(f"net/ipv6/conf/{directory.name}/accept_ra") == "1":
                sysctl.write_if_there(f"net/ipv6/conf/{directory.name}/accept_ra", "2")
    for name in _ROUTING[version]:
        sysctl.write(name, "1")


def has_ipv6() -> bool:
    """Does the kernel know IPv6?"""
    return sysctl.read("net.ipv6.conf.all.disable_ipv6") is not None


def frames_are_filtered(version: int = 4) -> bool:
    """Does the packet filter see what goes from port to port of a bridge (br_netfilter)?"""
    return sysctl.read(_FILTERED[version]) == "1"


def plug_name(endpoint: Endpoint) -> str:
    """The host's end of an endpoint's veth pair."""
    return f"veth{endpoint.id[:11]}"


def mac_for(text: str) -> str:
    """A local address made from the IPv4 address: who remembers the one for the other is never wrong.

    A random one without IPv4.
    """
    packed = IPv4Address(text.partition("/")[0]).packed if text else secrets.token_bytes(4)
    return ":".join(f"{byte:02x}" for byte in b"\x02\x42" + packed)


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
        configure(endpoint, sandbox)
    except MobyError:
        unplug(endpoint)
        raise


def configure(endpoint: Endpoint, sandbox: str) -> None:
    """Inside the sandbox: the interface's addresses and routes."""
    routing, index = namespaces.inside(sandbox, lambda: _enter(endpoint))
    with routing:
        routing.change(_configuration(endpoint, index))


def _enter(endpoint: Endpoint) -> tuple[netlink.RoutingSocket, int]:
    """Inside the namespace: a socket that stays there, and the interface's index."""
    with translation(f"find {endpoint.interface}"):
        index = socket.if_nametoindex(endpoint.interface)
    ipv6 = endpoint.ipv6 or any(":" in address for address in endpoint.link_local)
    sysctl.write_if_there(f"net/ipv6/conf/{endpoint.interface}/disable_ipv6", "0" if ipv6 else "1")
    return netlink.RoutingSocket(), index


def _configuration(endpoint: Endpoint, index: int) -> list[netlink.Request]:
    texts = (endpoint.ipv4, endpoint.ipv6, *endpoint.link_local)
    return [
        netlink.set_link(index=index, up=True),
        *(netlink.add_address(index, ip_interface(text)) for text in texts if text),
        *_default_routes(endpoint, index),
    ]


def _default_routes(endpoint: Endpoint, index: int) -> list[netlink.Request]:
    """Routes to everywhere, as far as this endpoint is to give them; another one's are replaced."""
    found = []
    for version, wanted, gateway in (
        (4, endpoint.default_route, endpoint.gateway),
        (6, endpoint.default_route6, endpoint.gateway6),
    ):
        if wanted and gateway:
            found.append(netlink.add_route(_EVERYWHERE[version], ip_address(gateway), index))
    return found


def reroute(endpoint: Endpoint, sandbox: str) -> None:
    """Have the sandbox's default routes lead out of this endpoint's interface, those that are to."""
    with translation(f"find {endpoint.interface}"):
        routing, index = namespaces.inside(
            sandbox, lambda: (netlink.RoutingSocket(), socket.if_nametoindex(endpoint.interface))
        )
    with routing:
        routing.change(_default_routes(endpoint, index))


def unplug(endpoint: Endpoint) -> None:
    """Remove the veth pair; no error if it is gone."""
    remove_all([plug_name(endpoint)])


def replug(endpoints: Sequence[Endpoint], bridge: int, port: bytes) -> None:
    """Put veth ends that are on no bridge back on this one, as after it was deleted and made again."""
    with netlink.RoutingSocket() as routing:
        for name in map(plug_name, endpoints):
            link = netlink.find_link(routing, name)
            if link is not None and link.master != bridge:
                routing.change(
                    [
                        netlink.set_link(name=name, master=bridge, up=True),
                        netlink.set_link(name=name, up=True, port=port),
                    ]
                )


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


def _addresses(routing: netlink.RoutingSocket, index: int) -> list[AnyInterface]:
    return [address for owner, address in netlink.addresses(routing) if owner == index]


def _random_mac() -> str:
    """Local and unicast."""
    raw = bytearray(secrets.token_bytes(6))
    raw[0] = raw[0] & 0xFE | 0x02
    return raw.hex(":")
