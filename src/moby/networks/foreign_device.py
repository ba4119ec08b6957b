"""This file is about interfaces that somebody else made on the host, lent to a sandbox. All of it blocks.

What the host called one is noted on it, so that it can be given back under that name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from moby.core.errors import NotFound
from moby.core.networks import Endpoint
from moby.host import namespaces, netlink
from moby.host.files import translation
from moby.networks.bridge_device import configure


class StaticRoute(NamedTuple):
    """A route by a router, or to what is on the link itself."""

    destination: IPv4Network | IPv6Network
    router: IPv4Address | IPv6Address | None


def parse_route(destination: str, router: str) -> StaticRoute:
    """Raises ValueError."""
    return StaticRoute(ip_network(destination, strict=False), ip_address(router) if router else None)


def take(source: str, endpoint: Endpoint, sandbox: str, routes: Sequence[StaticRoute]) -> None:
    """Put the host's interface `source` into a sandbox, with addresses and routes. Raises NotFound."""
    with translation("open network namespace"):
        namespace = os.open(sandbox, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with netlink.RoutingSocket() as routing:
            link = netlink.find_link(routing, source)
            if link is None:
                raise NotFound(f"could not find an interface named {source}")
            routing.change(
                [
                    netlink.set_alias(source, source),
                    netlink.lend_link(link.index, namespace, endpoint.interface, endpoint.mac_address),
                ]
            )
    finally:
        os.close(namespace)
    configure(endpoint, sandbox)
    with translation(f"find {endpoint.interface}"):
        routing, index = namespaces.inside(
            sandbox, lambda: (netlink.RoutingSocket(), socket.if_nametoindex(endpoint.interface))
        )
    with routing:
        routing.change(
            [
                netlink.add_link_route(route.destination, index)
                if route.router is None
                else netlink.add_route(route.destination, route.router, index)
                for route in routes
            ]
        )


def give_back(endpoint: Endpoint, sandbox: str) -> None:
    """Put it back to the host; no error if it is gone."""
    with translation("open network namespace"):
        ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(NotFound), namespaces.inside(sandbox, netlink.RoutingSocket) as routing:
            link = netlink.find_link(routing, endpoint.interface)
            if link is not None and link.alias:
                routing.change([netlink.lend_link(link.index, ours, link.alias, "")])
    finally:
        os.close(ours)
