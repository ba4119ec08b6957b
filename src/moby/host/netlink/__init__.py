"""The kernel's routing socket: links, addresses and routes.

Spoken directly, without a client library: the messages an engine needs are few, and a library costs it 46 ms
and 10 MB to import. Everything here blocks, for some tens of microseconds a message: callers on an event loop
run it in a thread.
"""

from moby.host.netlink.addresses import (
    Route,
    add_address,
    add_link_route,
    add_route,
    addresses,
    delete_address,
    routes,
)
from moby.host.netlink.flows import forget_udp_flows
from moby.host.netlink.links import (
    Inside,
    Link,
    Veth,
    create_bridge,
    create_inside,
    create_pair,
    create_plain,
    create_veth,
    delete_link,
    find_link,
    lend_link,
    links,
    port_options,
    set_alias,
    set_link,
)
from moby.host.netlink.removal import remove_link
from moby.host.netlink.requests import Request, attribute, nested, number, ordered, short, text
from moby.host.netlink.routing_socket import RoutingSocket
from moby.host.netlink.watch import Losses, Watch

__all__ = [
    "Inside",
    "Link",
    "Losses",
    "Request",
    "Route",
    "RoutingSocket",
    "Veth",
    "Watch",
    "add_address",
    "add_link_route",
    "add_route",
    "addresses",
    "attribute",
    "create_bridge",
    "create_inside",
    "create_pair",
    "create_plain",
    "create_veth",
    "delete_address",
    "delete_link",
    "find_link",
    "forget_udp_flows",
    "lend_link",
    "links",
    "nested",
    "number",
    "ordered",
    "port_options",
    "remove_link",
    "routes",
    "set_alias",
    "set_link",
    "short",
    "text",
]
