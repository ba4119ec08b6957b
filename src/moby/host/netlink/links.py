"""This file is about network devices: bridges, veth pairs, and what is common to all (linux/if_link.h)."""

from __future__ import annotations

import socket
import struct

import msgspec

from moby.host.netlink.requests import (
    CREATE,
    EXCLUSIVE,
    Request,
    as_number,
    as_text,
    attribute,
    attributes,
    nested,
    number,
    text,
)
from moby.host.netlink.routing_socket import RoutingSocket

_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_INFO = struct.Struct("=BxHiII")
_IFF_UP = 1

_ADDRESS, _IFNAME, _MTU, _LINK, _MASTER, _LINKINFO, _ALIAS = 1, 3, 4, 5, 10, 18, 20
_AF_SPEC, _GROUP, _NET_NS_FD = 26, 27, 28
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5
_VETH_PEER = 1
_BRPORT_HAIRPIN, _BRPORT_ISOLATED = 4, 33
_INET6_ADDR_GEN_MODE, _NO_ADDRESS = 8, 1


class Link(msgspec.Struct, frozen=True):
    """A network device as the kernel shows it; `kind` is `bridge`, `veth`, ..., empty for hardware."""

    index: int
    name: str
    kind: str
    master: int
    up: bool
    mac: str
    mtu: int
    alias: str = ""


class Veth(msgspec.Struct, frozen=True):
    """A veth pair to make: one end here, on the bridge with index `master`, the other in a namespace."""

    name: str
    master: int
    mtu: int
    peer: str
    peer_mac: str
    namespace: int


class Inside(msgspec.Struct, frozen=True):
    """A device to make in a namespace, on top of the one here with index `parent`; `data` is its kind's."""

    kind: str
    name: str
    parent: int
    namespace: int
    data: bytes
    mac: str = ""


def packed_mac(mac: str) -> bytes:
    """`02:42:ac:11:00:02` as six bytes."""
    return bytes.fromhex(mac.replace(":", "").replace("-", ""))


def create_bridge(name: str, mac: str, mtu: int) -> Request:
    """A bridge with an address of its own: one without takes that of its ports, and changes it with them."""
    body = (
        _info(0, 0)
        + text(_IFNAME, name)
        + number(_MTU, mtu)
        + attribute(_ADDRESS, packed_mac(mac))
        + nested(_LINKINFO, text(_INFO_KIND, "bridge"))
    )
    return Request(_NEWLINK, CREATE | EXCLUSIVE, body, f"create bridge {name}")


def create_veth(veth: Veth) -> Request:
    """Both ends, neither up: a peer that is made up fails with ENOTCONN."""
    peer = (
        _info(0, 0)
        + text(_IFNAME, veth.peer)
        + number(_MTU, veth.mtu)
        + attribute(_ADDRESS, packed_mac(veth.peer_mac))
        + number(_NET_NS_FD, veth.namespace)
    )
    data = nested(_INFO_DATA, nested(_VETH_PEER, peer))
    body = (
        _info(0, 0)
        + text(_IFNAME, veth.name)
        + number(_MTU, veth.mtu)
        + number(_MASTER, veth.master)
        + nested(_LINKINFO, text(_INFO_KIND, "veth"), data)
    )
    return Request(_NEWLINK, CREATE | EXCLUSIVE, body, f"create veth {veth.name}")


def create_plain(name: str, kind: str, data: bytes = b"", *, parent: int = 0) -> Request:
    """A device of a kind that needs no more than `data`, on top of the one with index `parent` if named."""
    body = (
        _info(0, 0)
        + text(_IFNAME, name)
        + (number(_LINK, parent) if parent else b"")
        + nested(_LINKINFO, text(_INFO_KIND, kind), *([nested(_INFO_DATA, data)] if data else []))
    )
    return Request(_NEWLINK, CREATE | EXCLUSIVE, body, f"create {kind} {name}")


def create_pair(name: str, peer: str) -> Request:
    """A veth pair with both ends here."""
    return create_plain(name, "veth", nested(_VETH_PEER, _info(0, 0) + text(_IFNAME, peer)))


def create_inside(interface: Inside) -> Request:
    """A device in a namespace, on top of one that is here."""
    body = (
        _info(0, 0)
        + text(_IFNAME, interface.name)
        + number(_LINK, interface.parent)
        + number(_NET_NS_FD, interface.namespace)
        + (attribute(_ADDRESS, packed_mac(interface.mac)) if interface.mac else b"")
        + nested(_LINKINFO, text(_INFO_KIND, interface.kind), nested(_INFO_DATA, interface.data))
    )
    return Request(_NEWLINK, CREATE | EXCLUSIVE, body, f"create {interface.kind} {interface.name}")


def set_alias(name: str, alias: str) -> Request:
    """Note something on a device, for whoever finds it."""
    return Request(_NEWLINK, 0, _info(0, 0) + text(_IFNAME, name) + text(_ALIAS, alias), f"note on {name}")


def set_link(
    *,
    name: str = "",
    index: int = 0,
    up: bool = False,
    mtu: int | None = None,
    master: int | None = None,
    port: bytes = b"",
) -> Request:
    """Change a device, named or by index; `port` is what `port_options` made."""
    body = _info(index, _IFF_UP if up else 0)
    body += text(_IFNAME, name) if name and not index else b""
    body += number(_MTU, mtu) if mtu is not None else b""
    body += number(_MASTER, master) if master is not None else b""
    return Request(_NEWLINK, 0, body + port, f"set up {name or index}")


def lend_link(index: int, namespace: int, name: str, mac: str) -> Request:
    """Put a device into another namespace under this name, and with this address if there is one."""
    body = (
        _info(index, 0)
        + text(_IFNAME, name)
        + number(_NET_NS_FD, namespace)
        + (attribute(_ADDRESS, packed_mac(mac)) if mac else b"")
    )
    return Request(_NEWLINK, 0, body, f"move {name}")


def port_options(*, hairpin: bool, isolated: bool, ipv6: bool) -> bytes:
    """What a bridge's port may do: send frames back where they came from; not send to others like itself.

    Where the kernel has `ipv6`, the port gets no address: nobody speaks to it, and to make sure that nobody
    else has the address takes the kernel a while for every container.
    """
    data = attribute(_BRPORT_HAIRPIN, bytes([hairpin])) + attribute(_BRPORT_ISOLATED, bytes([isolated]))
    port = nested(_LINKINFO, text(_INFO_SLAVE_KIND, "bridge"), nested(_INFO_SLAVE_DATA, data))
    mode = nested(socket.AF_INET6, attribute(_INET6_ADDR_GEN_MODE, bytes([_NO_ADDRESS])))
    return port + (nested(_AF_SPEC, mode) if ipv6 else b"")


def delete_link(name: str, index: int = 0) -> Request:
    """Remove a device, the one with this index if that is known. It takes the kernel some 25 ms to say so."""
    return Request(_DELLINK, 0, _info(index, 0) + (b"" if index else text(_IFNAME, name)), f"delete {name}")


def set_group(index: int, group: int) -> Request:
    """Count a device among others, by a number."""
    return Request(_NEWLINK, 0, _info(index, 0) + number(_GROUP, group), f"move device {index} to a group")


def delete_group(group: int) -> Request:
    """Remove every device of a group."""
    return Request(_DELLINK, 0, _info(0, 0) + number(_GROUP, group), f"delete group {group}")


def find_link(routing: RoutingSocket, name: str) -> Link | None:
    """A device by name; None if there is none."""
    reply = routing.get(_GETLINK, _info(0, 0) + text(_IFNAME, name), f"find {name}")
    return None if reply is None else _link(reply)


def links(routing: RoutingSocket, master: int = 0) -> list[Link]:
    """Every device of the socket's namespace, or those on a bridge: the kernel tells of no others."""
    body = _info(0, 0) + (number(_MASTER, master) if master else b"")
    found = [_link(reply) for reply in routing.dump(_GETLINK, body, "list links")]
    return [link for link in found if master in (0, link.master)]


def _info(index: int, flags: int) -> bytes:
    return _INFO.pack(0, 0, index, flags, flags)


def _link(reply: bytes) -> Link:
    _, _, index, flags, _ = _INFO.unpack_from(reply)
    found = attributes(reply[_INFO.size :])
    info = attributes(found.get(_LINKINFO, b""))
    return Link(
        index=index,
        name=as_text(found.get(_IFNAME, b"")),
        kind=as_text(info.get(_INFO_KIND, b"")),
        master=as_number(found.get(_MASTER, b"")),
        up=bool(flags & _IFF_UP),
        mac=found.get(_ADDRESS, b"").hex(":"),
        mtu=as_number(found.get(_MTU, b"")),
        alias=as_text(found.get(_ALIAS, b"")),
    )
