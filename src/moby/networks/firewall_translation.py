"""This file is about translating addresses for a bridge: published ports, and what leaves. Pure functions.

A bridge has a table for each of its families, `ip moby-docker0` and `ip6 moby-docker0`:

    prerouting, output   a packet to one of the host's addresses whose port is a key of `published_at` (on
                         one address) or `published` (on all) goes to the container that is the key's value
    postrouting          what leaves the bridge gets the host's address; so does what comes to a container
                         from the host's loopback, or from a container by way of a published port

In the gateway mode `routed`, and in internal networks, nothing is translated.
"""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address, ip_network

from moby.host.netlink import Request
from moby.host.nftables import objects as nft
from moby.host.nftables.expressions import (
    addressed,
    jump,
    local,
    masquerade,
    named,
    send_as,
    translate,
    translated,
    within,
)
from moby.host.nftables.objects import Hook, Kind
from moby.networks.firewall_rules import PUBLISHED, PUBLISHED_AT, Row, Rules

_LOOPBACK = IPv4Network("127.0.0.0/8")
_CHAINS: dict[str, Hook | None] = {
    "dispatch": None,
    "prerouting": ("nat", "prerouting", -100),
    "output": ("nat", "output", -100),
    "postrouting": ("nat", "postrouting", 100),
}


def install(rules: Rules) -> list[Request]:
    """Makes the table, or makes an old one as it should be, leaving the elements as they are."""
    place = rules.family, rules.name
    address: Kind = "ipv6_addr" if rules.family == "ip6" else "ipv4_addr"
    inside: tuple[Kind, ...] = (address, "inet_service")
    port: tuple[Kind, ...] = ("inet_proto", "inet_service")
    return [
        nft.add_table(*place),
        nft.add_set(*place, PUBLISHED, port, inside, number=1),
        nft.add_set(*place, PUBLISHED_AT, (address, *port), inside, number=2),
        *(nft.add_chain(*place, chain, hook) for chain, hook in _CHAINS.items()),
        *(nft.flush_chain(*place, chain) for chain in _CHAINS),
        *(nft.add_rule(*place, chain, row) for chain, row in rows(rules)),
    ]


def rows(rules: Rules) -> list[Row]:
    """The rules in order, each with its chain."""
    if rules.internal or rules.mode not in ("nat", "nat-unprotected"):
        return []
    version, subnet = rules.version, ip_network(rules.subnet)
    goes, dispatch = named("oifname", rules.bridge), jump("dispatch")
    inside = within("saddr", subnet)
    # A packet from ::1 finds no way back from another interface.
    here = () if version == 4 else (addressed("daddr", ip_address("::1"), other=True),)
    found: list[Row] = [
        ("dispatch", (translate(version, PUBLISHED_AT, to_address=True),)),
        ("dispatch", (translate(version, PUBLISHED, to_address=False),)),
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


def remove(family: str, table: str) -> list[Request]:
    """Removes the table; no error if it is gone."""
    return [nft.add_table(family, table), nft.delete_table(family, table)]
