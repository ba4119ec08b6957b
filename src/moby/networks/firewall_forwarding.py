"""This file is about which forwarded packets get through to and from bridges. Pure functions.

All bridges of the host share a table for each family, `ip moby` and `ip6 moby`, so that a packet meets the
same few rules however many bridges there are:

    guard                nothing that a container sends to or from 127.0.0.0/8 gets in
    forward              what is for a bridge (`arriving`), and what leaves one for elsewhere (`leaving`),
                         goes to that bridge's chains: maps with its name as the key; all else to `foreign`
    to-BRIDGE            first `user`; then answers; then containers among each other, unless `icc` is off;
                         nothing from an internal bridge (`closed`); then what came by a published port to a
                         container's port in `allowed-BRIDGE`; all else is dropped
    from-BRIDGE          first `user`; then everything leaves, an internal bridge nothing
    foreign              only where routing was off before: the host does not route between its own networks

The packets of a connection are looked up once on their way in, and twice on their way out.

A network's gateway mode changes this: with `nat-unprotected` containers are reached at every port of their
own, with `routed` at those in `allowed-BRIDGE`.

The chain `user` is the administrator's: it is made if it is not there and never changed. Its rules come
first, for packets to and from containers: `nft add rule ip moby user ip saddr 192.0.2.7 drop`. A drop is
final, also one in a table of somebody else's; an accept ends the chain `forward` alone.
"""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network

from moby.host.netlink import Request
from moby.host.nftables import objects as nft
from moby.host.nftables.elements import Element, add_elements, delete_elements, interface
from moby.host.nftables.expressions import (
    Name,
    Side,
    accept,
    answers,
    by_name,
    drop,
    jump,
    listed,
    mark,
    named,
    ping,
    reached,
    translated,
    within,
)
from moby.host.nftables.objects import Hook, Kind
from moby.networks.firewall_rules import ALLOWED, COMMON, Row, Rule, Rules, place_of

BRIDGES = "bridges"
_LEAVING, _ARRIVING, _CLOSED = "leaving", "arriving", "closed"
# Not a chain with a hook of its own: each packet would have to go through it.
_FOREIGN = "foreign"
_LOOPBACK = IPv4Network("127.0.0.0/8")
_CHAINS: dict[str, Hook] = {"guard": ("filter", "prerouting", -300), "forward": ("filter", "forward", 0)}


def install(rules: Rules) -> list[Request]:
    """Makes the table with this bridge's part of it, or mends them, leaving `user` and the elements be."""
    place = rules.family, COMMON
    own = f"to-{rules.bridge}", f"from-{rules.bridge}"
    key = interface(rules.bridge)
    return [
        *_objects(rules.family, rules.bridge),
        *_common(rules.family),
        *(nft.flush_chain(*place, chain) for chain in own),
        *(nft.add_rule(*place, chain, row) for chain, row in rows(rules)),
        *add_elements(*place, BRIDGES, [Element(key)]),
        *add_elements(*place, _ARRIVING, [Element(key, chain=own[0])]),
        *add_elements(*place, _LEAVING, [Element(key, chain=own[1])]),
        *(add_elements(*place, _CLOSED, [Element(key)]) if rules.internal else ()),
    ]


@cache
def _common(family: str) -> tuple[Request, ...]:
    """The rules that no bridge has alone, made anew."""
    place = family, COMMON
    flushed = [nft.flush_chain(*place, chain) for chain in _CHAINS]
    return *flushed, *(nft.add_rule(*place, chain, row) for chain, row in common_rows(family))


def _objects(family: str, bridge: str) -> list[Request]:
    """Everything that has a name."""
    place = family, COMMON
    address: Kind = "ipv6_addr" if family == "ip6" else "ipv4_addr"
    return [
        nft.add_table(*place),
        nft.add_set(*place, BRIDGES, ("ifname",), number=1),
        nft.add_set(*place, _LEAVING, ("ifname",), ("verdict",), number=2),
        nft.add_set(*place, _ARRIVING, ("ifname",), ("verdict",), number=3),
        nft.add_set(*place, f"{ALLOWED}-{bridge}", (address, "inet_proto", "inet_service"), number=4),
        nft.add_set(*place, _CLOSED, ("ifname",), number=5),
        nft.add_chain(*place, "user"),
        nft.add_chain(*place, _FOREIGN),
        nft.add_chain(*place, f"to-{bridge}"),
        nft.add_chain(*place, f"from-{bridge}"),
        *(nft.add_chain(*place, chain, hook) for chain, hook in _CHAINS.items()),
    ]


def common_rows(family: str) -> list[Row]:
    """The rules that packets meet on their way to a bridge's own."""
    found: list[Row] = []
    # The kernel itself takes nothing for ::1 from a wire; for IPv4 `route_localnet` has it do so.
    if family == "ip":
        sides: tuple[Side, ...] = ("daddr", "saddr")
        comes = listed("iifname", BRIDGES)
        found += [("guard", (within(side, _LOOPBACK), comes, drop())) for side in sides]
    return [
        *found,
        ("forward", (by_name("oifname", _ARRIVING),)),
        ("forward", (by_name("iifname", _LEAVING),)),
        ("forward", (jump(_FOREIGN),)),
    ]


def rows(rules: Rules) -> list[Row]:
    """The rules of a bridge in order, each with its chain."""
    leaving, arriving = f"from-{rules.bridge}", f"to-{rules.bridge}"
    decisions = jump("user"), drop() if rules.internal else accept()
    return [*((arriving, row) for row in _arriving(rules)), *((leaving, (one,)) for one in decisions)]


def _arriving(rules: Rules) -> list[Rule]:
    published: Rule = (reached(rules.version, place_of(rules, ALLOWED)[2]), accept())
    if not rules.direct and rules.mode != "routed":
        published = (translated(), *published)
    neighbours = named("iifname", rules.bridge)
    found: list[Rule] = [
        (jump("user"),),
        (answers(), accept()),
        (neighbours, accept()) if rules.icc else (neighbours, *published),
    ]
    if not rules.internal:
        found.append((listed("iifname", _CLOSED), drop()))
        found += [(named("iifname", name), accept()) for name in rules.trusted]
        if rules.accepted_mark:
            value, _, mask = rules.accepted_mark.partition("/")
            found.append((mark(int(value, 0), int(mask, 0) if mask else None), accept()))
        if rules.mode == "nat-unprotected":
            found.append((accept(),))
        if rules.mode == "routed":
            found.append((ping(rules.version), accept()))
        found.append(published)
    return [*found, (drop(),)]


def close_to_strangers(family: str) -> list[Request]:
    """Keeps the host from routing between networks of its own only because containers need it to route.

    Stays as it is once it is there: that routing was off before is known only at the time.
    """
    place = family, COMMON, _FOREIGN
    sides: tuple[Name, ...] = ("meta iifkind", "meta oifkind")
    rule = *(named(side, "bridge", other=True) for side in sides), drop()
    return [nft.add_chain(*place), nft.flush_chain(*place), nft.add_rule(*place, rule)]


def remove(family: str, bridge: str) -> list[Request]:
    """Removes what is a bridge's; no error if it is gone."""
    place = family, COMMON
    key = interface(bridge)
    chains = f"to-{bridge}", f"from-{bridge}"
    own = {
        BRIDGES: Element(key),
        _ARRIVING: Element(key, chain=chains[0]),
        _LEAVING: Element(key, chain=chains[1]),
        _CLOSED: Element(key),
    }
    return [
        *_objects(family, bridge),
        # Added first, so that there is something to take out.
        *(request for name, one in own.items() for request in add_elements(*place, name, [one])),
        *(request for name, one in own.items() for request in delete_elements(*place, name, [one])),
        *(nft.flush_chain(*place, chain) for chain in chains),
        *(nft.delete_chain(*place, chain) for chain in chains),
        nft.delete_set(*place, f"{ALLOWED}-{bridge}"),
    ]
