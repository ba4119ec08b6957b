"""This file is about the text of a bridge's packet filter: what nft is told. Pure functions.

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
from ipaddress import ip_address

import msgspec

from moby.core.networks import Endpoint, Transport
from moby.host.netlink import Request
from moby.host.nftables.direct import Element, add_elements, delete_elements, flush
from moby.networks.bridge_options import GatewayMode

_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - the keys of "every address"
_CHAINS = ("dispatch", "prerouting", "output", "guard", "forward", "postrouting")
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
    def table(self) -> str:
        """The table, with its family."""
        return f"{self.family} {self.name}"


def table_name(bridge: str) -> str:
    """What a bridge's tables are called, in either family."""
    return f"moby-{bridge}"


def install_text(rules: Rules) -> str:
    """Makes the table, or makes an old one as it should be, leaving `user` and the elements as they are."""
    t, port = rules.table, "inet_proto . inet_service"
    address = "ipv6_addr" if rules.family == "ip6" else "ipv4_addr"
    lines = [
        f"add table {t}",
        f"add map {t} published {{ type {port} : {address} . inet_service; }}",
        f"add map {t} published_at {{ type {address} . {port} : {address} . inet_service; }}",
        f"add set {t} allowed {{ type {address} . {port}; }}",
        f"add chain {t} user",
        f"add chain {t} dispatch",
        f"add chain {t} prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}",
        f"add chain {t} output {{ type nat hook output priority -100; policy accept; }}",
        f"add chain {t} guard {{ type filter hook prerouting priority raw; policy accept; }}",
        f"add chain {t} forward {{ type filter hook forward priority filter; policy accept; }}",
        f"add chain {t} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}",
        *(f"flush chain {t} {chain}" for chain in _CHAINS),
    ]
    rows = [*_guard(rules), *_forward(rules)]
    if not rules.internal and rules.mode in ("nat", "nat-unprotected"):
        rows += _translation(rules)
    lines += [f"add rule {t} {chain} {rule}" for chain, rule in rows]
    return "\n".join(lines)


def _guard(rules: Rules) -> list[tuple[str, str]]:
    """The kernel itself takes nothing for ::1 from a wire; for IPv4 `route_localnet` has it do so."""
    if rules.family == "ip6":
        return []
    br = f'"{rules.bridge}"'
    return [("guard", f"iifname {br} ip {side} 127.0.0.0/8 drop") for side in ("daddr", "saddr")]


def _forward(rules: Rules) -> list[tuple[str, str]]:
    br, allowed = f'"{rules.bridge}"', f"{rules.family} daddr . meta l4proto . th dport @allowed accept"
    published = allowed if rules.direct or rules.mode == "routed" else f"ct status dnat {allowed}"
    rows = [
        f"iifname {br} jump user",
        f"iifname != {br} oifname {br} jump user",
        f"oifname {br} ct state established,related accept",
        f"iifname {br} oifname {br} {'accept' if rules.icc else published}",
    ]
    if rules.internal:
        rows += [f"iifname {br} drop", f"oifname {br} drop"]
        return [("forward", row) for row in rows]
    rows += [f'iifname "{name}" oifname {br} accept' for name in rules.trusted]
    if rules.accepted_mark:
        value, _, mask = rules.accepted_mark.partition("/")
        rows.append(f"oifname {br} meta mark {f'and {mask} == ' if mask else ''}{value} accept")
    if rules.mode == "nat-unprotected":
        rows.append(f"oifname {br} accept")
    if rules.mode == "routed":
        ping = "icmpv6 type echo-request" if rules.family == "ip6" else "icmp type echo-request"
        rows.append(f"oifname {br} {ping} accept")
    rows += [f"oifname {br} {published}", f"oifname {br} drop"]
    return [("forward", row) for row in rows]


def _translation(rules: Rules) -> list[tuple[str, str]]:
    br, ip = f'"{rules.bridge}"', rules.family
    # A packet from ::1 finds no way back from another interface.
    local = "fib daddr type local" if ip == "ip" else "ip6 daddr != ::1 fib daddr type local"
    rows = [
        ("dispatch", f"dnat {ip} to {ip} daddr . meta l4proto . th dport map @published_at"),
        ("dispatch", f"dnat {ip} to meta l4proto . th dport map @published"),
        ("prerouting", f"{local} jump dispatch"),
        ("output", f"{local} jump dispatch"),
    ]
    if ip == "ip":
        rows.append(("postrouting", f"ip saddr 127.0.0.0/8 oifname {br} masquerade"))
    rows.append(("postrouting", f"{ip} saddr {rules.subnet} oifname {br} ct status dnat masquerade"))
    if rules.masquerade:
        source = f"snat to {rules.host_address}" if rules.host_address else "masquerade"
        rows.append(("postrouting", f"{ip} saddr {rules.subnet} oifname != {br} {source}"))
    return rows


def strangers_text(rules: Rules) -> str:
    """Keeps the host from routing between networks of its own only because containers need it to route.

    Stays as it is once it is there: that routing was off before is known only at the time.
    """
    t = rules.table
    chain = "{ type filter hook forward priority filter; policy accept; }"
    rule = 'meta iifkind != "bridge" meta oifkind != "bridge" drop'
    return f"add chain {t} strangers {chain}\nflush chain {t} strangers\nadd rule {t} strangers {rule}"


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
