"""This file is about addresses and routes (linux/if_addr.h, linux/rtnetlink.h)."""

from __future__ import annotations

import functools
import socket
import struct
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import NamedTuple

from moby.host.netlink.requests import (
    CREATE,
    EXCLUSIVE,
    REPLACE,
    Request,
    as_number,
    attribute,
    attributes,
    number,
)
from moby.host.netlink.routing_socket import RoutingSocket

_NEWADDR, _DELADDR, _GETADDR, _NEWROUTE, _GETROUTE = 20, 21, 22, 24, 26
_ADDRESS_INFO = struct.Struct("=BBBBi")
_ROUTE_INFO = struct.Struct("=BBBBBBBBI")
_ADDRESS, _LOCAL, _BROADCAST = 1, 2, 4
_DESTINATION, _OUT_INTERFACE, _GATEWAY, _TABLE = 1, 4, 5, 15
_MAIN, _BOOT, _UNICAST = 254, 3, 1
_CLONED = 0x200
_ON_LINK = 253
_NO_DETECTION = 0x02


class Route(NamedTuple):
    """Where packets to a network go; `gateway` None means that it is on the link."""

    destination: IPv4Network | IPv6Network
    interface: int
    gateway: IPv4Address | IPv6Address | None


def add_address(index: int, address: IPv4Interface | IPv6Interface) -> Request:
    """Give a device an address; one that it has is left as it is."""
    return _address(_NEWADDR, CREATE | REPLACE, index, address, f"add address {address}")


def delete_address(index: int, address: IPv4Interface | IPv6Interface) -> Request:
    """Take an address from a device."""
    return _address(_DELADDR, 0, index, address, f"delete address {address}")


def _address(kind: int, flags: int, index: int, address: IPv4Interface | IPv6Interface, what: str) -> Request:
    # Nobody else has what address management grants: no seconds of waiting for a duplicate's answer.
    how = _NO_DETECTION if address.version == 6 else 0
    body = _ADDRESS_INFO.pack(_family(address.version), address.network.prefixlen, how, 0, index)
    body += attribute(_LOCAL, address.ip.packed) + attribute(_ADDRESS, address.ip.packed)
    if isinstance(address, IPv4Interface) and address.network.prefixlen < 31:
        body += attribute(_BROADCAST, address.network.broadcast_address.packed)
    return Request(kind, flags, body, what)


def add_route(
    destination: IPv4Network | IPv6Network, gateway: IPv4Address | IPv6Address, index: int
) -> Request:
    """A route through a gateway, in the main table, instead of one that is there."""
    family = _family(destination.version)
    body = _ROUTE_INFO.pack(family, destination.prefixlen, 0, 0, _MAIN, _BOOT, 0, _UNICAST, 0)
    if destination.prefixlen:
        body += attribute(_DESTINATION, destination.network_address.packed)
    body += attribute(_GATEWAY, gateway.packed) + number(_OUT_INTERFACE, index)
    return Request(_NEWROUTE, CREATE | REPLACE, body, f"add route to {destination} by {gateway}")


def add_link_route(destination: IPv4Network | IPv6Network, index: int) -> Request:
    """A route to what is on the link itself, in the main table, unless there is one."""
    family = _family(destination.version)
    body = _ROUTE_INFO.pack(family, destination.prefixlen, 0, 0, _MAIN, _BOOT, _ON_LINK, _UNICAST, 0)
    if destination.prefixlen:
        body += attribute(_DESTINATION, destination.network_address.packed)
    body += number(_OUT_INTERFACE, index)
    return Request(_NEWROUTE, CREATE | EXCLUSIVE, body, f"add route to {destination}")


def addresses(routing: RoutingSocket) -> list[tuple[int, IPv4Interface | IPv6Interface]]:
    """Every address of the socket's namespace with its device's index."""
    found = []
    for reply in routing.dump(_GETADDR, _ADDRESS_INFO.pack(0, 0, 0, 0, 0), "list addresses"):
        _, length, _, _, index = _ADDRESS_INFO.unpack_from(reply)
        values = attributes(reply[_ADDRESS_INFO.size :])
        value = values.get(_LOCAL) or values.get(_ADDRESS)
        if value is not None:
            found.append((index, _interface(value, length)))
    return found


def routes(routing: RoutingSocket) -> list[Route]:
    """Every unicast route of the socket's namespace, of all tables."""
    found = []
    for reply in routing.dump(_GETROUTE, bytes(_ROUTE_INFO.size), "list routes"):
        family, length, _, _, _, _, _, kind, flags = _ROUTE_INFO.unpack_from(reply)
        if kind != _UNICAST or flags & _CLONED or family not in (socket.AF_INET, socket.AF_INET6):
            continue
        values = attributes(reply[_ROUTE_INFO.size :])
        any_ = bytes(4 if family == socket.AF_INET else 16)
        gateway = values.get(_GATEWAY)
        found.append(
            Route(
                _network(values.get(_DESTINATION, any_), length),
                as_number(values.get(_OUT_INTERFACE, b"")),
                ip_address(gateway) if gateway else None,
            )
        )
    return found


# A host with hundreds of networks is looked at often, and changes little in between.
@functools.lru_cache(8192)
def _interface(value: bytes, length: int) -> IPv4Interface | IPv6Interface:
    return ip_interface((value, length))


@functools.lru_cache(8192)
def _network(value: bytes, length: int) -> IPv4Network | IPv6Network:
    return ip_network((value, length))


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6
