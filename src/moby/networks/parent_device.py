"""This file is about devices of the host that networks are put on top of. All of it blocks.

A parent that is not there is made, where its name says how: `eth0.50` is the 802.1q VLAN 50 of eth0. Without
a parent there is one that nobody outside is on. What we made is known by a note on the device, and goes with
the last network on it.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, NotImplemented
from moby.core.networks import Endpoint
from moby.host import namespaces, netlink
from moby.host.files import translation
from moby.networks.bridge_device import configure

_VLAN = re.compile(r"([^.]+)\.([^.]+)")
_VLAN_ID = 1
_NOTE = "made for docker networks"


def alone_name(network: str) -> str:
    """The parent of a network, by its ID, that has none of the host's."""
    return f"dm-{network[:12]}"


def prepare(parent: str, kind: str) -> int:
    """The index of a parent, which is made if its name says how. Raises InvalidParameter, NotImplemented."""
    with netlink.RoutingSocket() as routing:
        if (link := netlink.find_link(routing, parent)) is None:
            if parent.startswith("dm-"):
                _make_alone(routing, parent, kind)
            else:
                _make_vlan(routing, parent)
            routing.change([netlink.set_alias(parent, _NOTE), netlink.set_link(name=parent, up=True)])
            link = netlink.find_link(routing, parent)
    if link is None:
        raise NotFound(f"the requested parent interface {parent} was not found on the Docker host")
    return link.index


def _make_alone(routing: netlink.RoutingSocket, name: str, kind: str) -> None:
    try:
        routing.change([netlink.create_plain(name, "dummy")])
    except Conflict:
        raise
    except MobyError:
        # A kernel without dummy devices: a pair does as well, whose other end nobody is on.
        peer = f"dp-{name[3:]}"
        routing.change([netlink.create_pair(name, peer), netlink.set_link(name=peer, up=True)])


def _make_vlan(routing: netlink.RoutingSocket, name: str) -> None:
    if "." not in name:
        raise InvalidParameter(f"invalid subinterface vlan name {name}, example formatting is eth0.10")
    found = _VLAN.fullmatch(name)
    if found is None:
        raise InvalidParameter(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received "
            f"{name}"
        )
    below, text = found.groups()
    try:
        number = int(text)
    except ValueError as error:
        raise InvalidParameter(
            f"unable to parse a valid vlan id from: {text} (ex. eth0.10 for vlan 10)"
        ) from error
    link = netlink.find_link(routing, below)
    if link is None:
        raise InvalidParameter(f"-o parent interface was not found on the host: {below}")
    if not 1 <= number <= 4094:
        raise InvalidParameter(f"vlan id must be between 1-4094, received: {number}")
    try:
        routing.change(
            [netlink.create_plain(name, "vlan", netlink.short(_VLAN_ID, number), parent=link.index)]
        )
    except MobyError as error:
        raise type(error)(f"failed to create {name} vlan link: {error.message}") from error


def release(parent: str) -> None:
    """Remove a parent that nobody is on any more, if we made it; no error if it is gone."""
    with netlink.RoutingSocket() as routing:
        link = netlink.find_link(routing, parent)
        if link is not None and link.alias == _NOTE:
            routing.change([netlink.delete_link(parent)])


def attach(interface: netlink.Inside, endpoint: Endpoint, sandbox: str) -> None:
    """Put a device into a sandbox, with the endpoint's addresses and routes; `namespace` is filled in."""
    with translation("open network namespace"):
        namespace = os.open(sandbox, os.O_RDONLY | os.O_CLOEXEC)
    try:
        made = netlink.Inside(
            interface.kind, interface.name, interface.parent, namespace, interface.data, interface.mac
        )
        with netlink.RoutingSocket() as routing:
            routing.change([netlink.create_inside(made)])
    except MobyError as error:
        raise _unknown(interface.kind, error) from error
    finally:
        os.close(namespace)
    try:
        configure(endpoint, sandbox)
    except MobyError:
        detach(endpoint, sandbox)
        raise


def _unknown(kind: str, error: MobyError) -> MobyError:
    message = f"failed to create the {kind} port: {error.message}"
    if "Unknown device type" in error.message or "not supported" in error.message:
        return NotImplemented(f"failed to create the {kind} port: this kernel has no {kind} devices")
    return type(error)(message)


def detach(endpoint: Endpoint, sandbox: str) -> None:
    """Remove an endpoint's device from a sandbox; no error if either is gone."""
    with suppress(NotFound), namespaces.inside(sandbox, netlink.RoutingSocket) as routing:
        if netlink.find_link(routing, endpoint.interface) is not None:
            routing.change([netlink.delete_link(endpoint.interface)])


def interface_index(endpoint: Endpoint, sandbox: str) -> tuple[netlink.RoutingSocket, int]:
    """A socket of the sandbox, and the endpoint's interface there."""
    with translation(f"find {endpoint.interface}"):
        return namespaces.inside(
            sandbox, lambda: (netlink.RoutingSocket(), socket.if_nametoindex(endpoint.interface))
        )


def mac_of(parent: str) -> str:
    """A parent's hardware address; empty if it is gone."""
    with netlink.RoutingSocket() as routing:
        link = netlink.find_link(routing, parent)
    return link.mac if link else ""
