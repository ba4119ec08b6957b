"""This file is about published ports in the packet filter: elements of a bridge's maps. Pure functions."""

from __future__ import annotations

from ipaddress import ip_address

from moby.core.networks import Endpoint, Transport
from moby.host.netlink import Request
from moby.host.nftables.elements import Element, add_elements, delete_elements, flush
from moby.networks.firewall_rules import ALLOWED, PUBLISHED, PUBLISHED_AT, Elements, Rules, place_of

_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - the keys of "every address"
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}


def elements(endpoint: Endpoint, family: str = "ip") -> Elements:
    """What an endpoint's ports need in a family: the elements of each map or set."""
    address = (endpoint.ipv6 if family == "ip6" else endpoint.ipv4).partition("/")[0]
    found: dict[str, dict[Element, None]] = {}
    inside = ip_address(address).packed if address else b""
    for port in endpoint.ports:
        if (":" in port.host_ip) != (family == "ip6") or not address:
            continue
        value = inside + _port(port.container_port)
        protocol = _protocol(port.protocol)
        key = protocol + _port(port.host_port)
        if not port.host_port:
            pass  # Without translation there is no port of the host's.
        elif port.host_ip in _ANY:
            found.setdefault(PUBLISHED, {})[Element(key, value)] = None
        else:
            at = Element(ip_address(port.host_ip).packed + key, value)
            found.setdefault(PUBLISHED_AT, {})[at] = None
        found.setdefault(ALLOWED, {})[Element(inside + protocol + _port(port.container_port))] = None
    return {name: tuple(wanted) for name, wanted in found.items()}


def _port(number: int) -> bytes:
    return number.to_bytes(2, "big") + bytes(2)


def _protocol(name: Transport) -> bytes:
    return bytes([_PROTOCOLS[name], 0, 0, 0])


def adding(rules: Rules, wanted: Elements) -> list[Request]:
    """Puts elements in; those that are there are left."""
    return [
        request for name, each in wanted.items() for request in add_elements(*place_of(rules, name), each)
    ]


def removing(rules: Rules, unwanted: Elements) -> list[Request]:
    """Takes elements out; adding them first makes that work for those that are not there."""
    return adding(rules, unwanted) + [
        request
        for name, each in unwanted.items()
        for request in delete_elements(*place_of(rules, name), each)
    ]


def flushing(rules: Rules) -> list[Request]:
    """Takes all elements out."""
    return [flush(*place_of(rules, name)) for name in (PUBLISHED, PUBLISHED_AT, ALLOWED)]
