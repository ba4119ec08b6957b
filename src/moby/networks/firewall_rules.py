"""This file is about the rules of a bridge's packet filter. Pure functions.

A bridge has a table for each of its families, `ip moby-docker0` and `ip6 moby-docker0`:

    prerouting, output   a packet to one of the host's addresses whose port is a key of `published_at` (on
                         one address) or `published` (on all) goes to the container that is the key's value
    guard                nothing that a container sends to or from 127.0.0.0/8 gets in
    forward              first `user`; then answers; then containers among each other, unless `icc` is off;
                         then what came by a published port to a container's port in `allowed`; all else that
                         is for a container is dropped
    postrouting          what leaves the bridge gets the host's address; so does what comes to a container
                         from the host's loopback, or from a container by way of a published port
    strangers            only where routing was off before: the host does not route between its own networks

A network's gateway mode changes this: with `nat-unprotected` containers are reached at every port of their
own, with `routed` at those in `allowed` and without any translation of addresses.

The chain `user` is the administrator's: it is made if it is not there and never changed. Its rules come
first, for packets to and from containers: `nft add rule ip moby-docker0 user ip saddr 192.0.2.7 drop`. A drop
is final, also one in a table of somebody else's; an accept ends the chain `forward` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, ip_address, ip_network

import msgspec

from moby.core.networks import Endpoint, Transport
from moby.host.netlink import Request
from moby.host.nftables import objects as nft
from moby.host.nftables.elements import Element, add_elements, delete_elements, flush
from moby.host.nftables.expressions import (
    Expression,
    Name,
    Side,
    accept,
    addressed,
    answers,
    drop,
    jump,
    local,
    mark,
    masquerade,
    named,
    ping,
    reached,
    send_as,
    translate,
    translated,
    within,
)
from moby.host.nftables.objects import Hook, Kind
from moby.networks.bridge_options import GatewayMode

_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - the keys of "every address"
_LOOPBACK = IPv4Network("127.0.0.0/8")
_CHAINS: dict[str, Hook | None] = {
    "dispatch": None,
    "prerouting": ("nat", "prerouting", -100),
    "output": ("nat", "output", -100),
    "guard": ("filter", "prerouting", -300),
    "forward": ("filter", "forward", 0),
    "postrouting": ("nat", "postrouting", 100),
}
Rule = tuple[Expression, ...]
Row = tuple[str, Rule]
Elements = Mapping[str, Sequence[Element]]
_SETS = ("published", "published_at", "allowed")
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}


class Rules(msgspec.Struct, frozen=True):
    """What a bridge's table of one family depends on; `subnet` as text.

    `direct` lets published ports be reached at the container's own address. `host_address` is what is
    masqueraded with, instead of that of the way out. From the interfaces in `trusted` everything may come,
    and so may packets with the mark `accepted_mark`, `VALUE` or `VALUE/MASK`.
    """

    bridge: str
    subnet: str
    icc: bool = True
    masquerade: bool = True
    internal: bool = False
    mode: GatewayMode = "nat"
    direct: bool = False
    host_address: str = ""
    trusted: tuple[str, ...] = ()
    accepted_mark: str = ""

    @property
    def family(self) -> str:
        """nft's word for the family."""
        return "ip6" if ":" in self.subnet else "ip"

    @property
    def name(self) -> str:
        """The table's name."""
        return table_name(self.bridge)

    @property
    def version(self) -> int:
        """The number of the family."""
        return 6 if ":" in self.subnet else 4


def table_name(bridge: str) -> str:
    """What a bridge's tables are called, in either family."""
    return f"moby-{bridge}"


def install(rules: Rules) -> list[Request]:
    """Makes the table, or makes an old one as it should be, leaving `user` and the elements as they are."""
    place = rules.family, rules.name
    address: Kind = "ipv6_addr" if rules.family == "ip6" else "ipv4_addr"
    inside: tuple[Kind, ...] = (address, "inet_service")
    port: tuple[Kind, ...] = ("inet_proto", "inet_service")
    return [
        nft.add_table(*place),
        nft.add_set(*place, "published", port, inside, number=1),
        nft.add_set(*place, "published_at", (address, *port), inside, number=2),
        nft.add_set(*place, "allowed", (address, *port), number=3),
        nft.add_chain(*place, "user"),
        *(nft.add_chain(*place, chain, hook) for chain, hook in _CHAINS.items()),
        *(nft.flush_chain(*place, chain) for chain in _CHAINS),
        *(nft.add_rule(*place, chain, row) for chain, row in rows(rules)),
    ]


def rows(rules: Rules) -> list[Row]:
    """The rules in order, each with its chain."""
    found = [*_guard(rules), *_forward(rules)]
    if not rules.internal and rules.mode in ("nat", "nat-unprotected"):
        found += _translation(rules)
    return found


def _guard(rules: Rules) -> list[Row]:
    """The kernel itself takes nothing for ::1 from a wire; for IPv4 `route_localnet` has it do so."""
    if rules.family == "ip6":
        return []
    sides: tuple[Side, ...] = ("daddr", "saddr")
    return [("guard", (named("iifname", rules.bridge), within(side, _LOOPBACK), drop())) for side in sides]


def _forward(rules: Rules) -> list[Row]:
    br, version = rules.bridge, rules.version
    comes, goes = named("iifname", br), named("oifname", br)
    published: Rule = (reached(version, "allowed"), accept())
    if not rules.direct and rules.mode != "routed":
        published = (translated(), *published)
    found: list[Rule] = [
        (comes, jump("user")),
        (named("iifname", br, other=True), goes, jump("user")),
        (goes, answers(), accept()),
        (comes, goes, *((accept(),) if rules.icc else published)),
    ]
    if rules.internal:
        return [("forward", row) for row in (*found, (comes, drop()), (goes, drop()))]
    found += [(named("iifname", name), goes, accept()) for name in rules.trusted]
    if rules.accepted_mark:
        value, _, mask = rules.accepted_mark.partition("/")
        found.append((goes, mark(int(value, 0), int(mask, 0) if mask else None), accept()))
    if rules.mode == "nat-unprotected":
        found.append((goes, accept()))
    if rules.mode == "routed":
        found.append((goes, ping(version), accept()))
    return [("forward", row) for row in (*found, (goes, *published), (goes, drop()))]


def _translation(rules: Rules) -> list[Row]:
    version, subnet = rules.version, ip_network(rules.subnet)
    goes, dispatch = named("oifname", rules.bridge), jump("dispatch")
    inside = within("saddr", subnet)
    # A packet from ::1 finds no way back from another interface.
    here = () if version == 4 else (addressed("daddr", ip_address("::1"), other=True),)
    found: list[Row] = [
        ("dispatch", (translate(version, "published_at", to_address=True),)),
        ("dispatch", (translate(version, "published", to_address=False),)),
        ("prerouting", (*here, local(), dispatch)),
        ("output", (*here, local(), dispatch)),
    ]
    if version == 4:
        found.append(("postrouting", (within("saddr", _LOOPBACK), goes, masquerade())))
    found.append(("postrouting", (inside, goes, translated(), masquerade())))
    if rules.masquerade:
        source = send_as(ip_address(rules.host_address)) if rules.host_address else masquerade()
        found.append(("postrouting", (inside, named("oifname", rules.bridge, other=True), source)))
    return found


def close_to_strangers(rules: Rules) -> list[Request]:
    """Keeps the host from routing between networks of its own only because containers need it to route.

    Stays as it is once it is there: that routing was off before is known only at the time.
    """
    place = rules.family, rules.name, "strangers"
    sides: tuple[Name, ...] = ("meta iifkind", "meta oifkind")
    rule = *(named(side, "bridge", other=True) for side in sides), drop()
    return [
        nft.add_chain(*place, ("filter", "forward", 0)),
        nft.flush_chain(*place),
        nft.add_rule(*place, rule),
    ]


def elements(endpoint: Endpoint, family: str = "ip") -> Elements:
    """What the family's table needs for an endpoint's ports: the elements of each map or set."""
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
            found.setdefault("published", {})[Element(key, value)] = None
        else:
            at = Element(ip_address(port.host_ip).packed + key, value)
            found.setdefault("published_at", {})[at] = None
        found.setdefault("allowed", {})[Element(inside + protocol + _port(port.container_port))] = None
    return {name: tuple(wanted) for name, wanted in found.items()}


def _port(number: int) -> bytes:
    return number.to_bytes(2, "big") + bytes(2)


def _protocol(name: Transport) -> bytes:
    return bytes([_PROTOCOLS[name], 0, 0, 0])


def adding(rules: Rules, wanted: Elements) -> list[Request]:
    """Puts elements in; those that are there are left."""
    return [
        request
        for name, each in wanted.items()
        for request in add_elements(rules.family, rules.name, name, each)
    ]


def removing(rules: Rules, unwanted: Elements) -> list[Request]:
    """Takes elements out; adding them first makes that work for those that are not there."""
    return adding(rules, unwanted) + [
        request
        for name, each in unwanted.items()
        for request in delete_elements(rules.family, rules.name, name, each)
    ]


def flushing(rules: Rules) -> list[Request]:
    """Takes all elements out."""
    return [flush(rules.family, rules.name, name) for name in _SETS]
