"""This file is about what the host itself uses: no subnet that overlaps it is chosen by us. It blocks."""

from __future__ import annotations

from ipaddress import ip_network

from moby.host import netlink
from moby.networks.ipam.pools import AnyNetwork
from moby.networks.names import HOST_RESOLV_CONF, name_servers


def occupied() -> list[AnyNetwork]:
    """The networks that the host is on, and the name servers that it asks.

    What lies behind a gateway is not among them: such a route, a VPN's to half of all addresses for one, says
    little about what is used there.
    """
    with netlink.RoutingSocket() as routing:
        found = {route.destination for route in netlink.routes(routing) if route.gateway is None}
        found |= {address.network for _, address in netlink.addresses(routing)}
    found |= _name_servers()
    return [network for network in found if network.prefixlen and not _is_of_a_link(network)]


def _name_servers() -> set[AnyNetwork]:
    try:
        return {ip_network(server) for server in name_servers(HOST_RESOLV_CONF.read_text())}
    except OSError:
        return set()


def _is_of_a_link(network: AnyNetwork) -> bool:
    return network.version == 6 and (network.is_link_local or network.is_multicast)
