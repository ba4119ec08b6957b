"""This file is about a bridge's packet filter: one nftables table, with few rules however many ports.

    prerouting, output   a packet to one of the host's addresses whose port is a key of `published_at` (on
                         one address) or `published` (on all) goes to the container that is the key's value
    guard                nothing that a container sends to or from 127.0.0.0/8 gets in
    forward              first `user`; then answers; then containers among each other, unless `icc` is off;
                         then what came by a published port to a container's port in `allowed`; all else that
                         is for a container is dropped
    postrouting          what leaves the bridge gets the host's address; so does what comes to a container
                         from the host's loopback, or from a container by way of a published port
    strangers            only where routing was off before: the host does not route between its own networks

The chain `user` is the administrator's: it is made if it is not there and never changed. Its rules come
first, for packets to and from containers: `nft add rule ip moby-docker0 user ip saddr 192.0.2.7 drop`. A drop
is final, also one in a table of somebody else's; an accept ends the chain `forward` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moby.core.errors import MobyError, NotFound
from moby.core.networks import Endpoint
from moby.host.nftables import Nftables

_ANY = "0.0.0.0"  # noqa: S104 - the key of "every address"
_CHAINS = ("dispatch", "prerouting", "output", "guard", "forward", "postrouting")
_SETS = ("map", "published"), ("map", "published_at"), ("set", "allowed")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a bridge's table depends on; `subnet` as text."""

    bridge: str
    subnet: str
    icc: bool = True
    masquerade: bool = True
    internal: bool = False

    @property
    def table(self) -> str:
        """The table's name."""
        return f"moby-{self.bridge}"


def install_text(rules: Rules) -> str:
    """Makes the table, or makes an old one as it should be, leaving `user` and the elements as they are."""
    t, br, port = rules.table, f'"{rules.bridge}"', "inet_proto . inet_service"
    lines = [
        f"add table ip {t}",
        f"add map ip {t} published {{ type {port} : ipv4_addr . inet_service; }}",
        f"add map ip {t} published_at {{ type ipv4_addr . {port} : ipv4_addr . inet_service; }}",
        f"add set ip {t} allowed {{ type ipv4_addr . {port}; }}",
        f"add chain ip {t} user",
        f"add chain ip {t} dispatch",
        f"add chain ip {t} prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}",
        f"add chain ip {t} output {{ type nat hook output priority -100; policy accept; }}",
        f"add chain ip {t} guard {{ type filter hook prerouting priority raw; policy accept; }}",
        f"add chain ip {t} forward {{ type filter hook forward priority filter; policy accept; }}",
        f"add chain ip {t} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}",
        *(f"flush chain ip {t} {chain}" for chain in _CHAINS),
    ]
    among = "accept" if rules.icc else "ct status dnat ip daddr . meta l4proto . th dport @allowed accept"
    rows = [
        ("dispatch", "dnat ip to ip daddr . meta l4proto . th dport map @published_at"),
        ("dispatch", "dnat ip to meta l4proto . th dport map @published"),
        ("prerouting", "fib daddr type local jump dispatch"),
        ("output", "fib daddr type local jump dispatch"),
        ("guard", f"iifname {br} ip daddr 127.0.0.0/8 drop"),
        ("guard", f"iifname {br} ip saddr 127.0.0.0/8 drop"),
        ("forward", f"iifname {br} jump user"),
        ("forward", f"iifname != {br} oifname {br} jump user"),
        ("forward", f"oifname {br} ct state established,related accept"),
        ("forward", f"iifname {br} oifname {br} {among}"),
        ("forward", f"oifname {br} ct status dnat ip daddr . meta l4proto . th dport @allowed accept"),
        ("forward", f"oifname {br} drop"),
        ("postrouting", f"ip saddr 127.0.0.0/8 oifname {br} masquerade"),
        ("postrouting", f"ip saddr {rules.subnet} oifname {br} ct status dnat masquerade"),
    ]
    if rules.internal:
        rows = [row for row in rows if row[0] not in ("dispatch", "prerouting", "output")]
        rows += [("forward", f"iifname {br} oifname != {br} drop")]
    elif rules.masquerade:
        rows.append(("postrouting", f"ip saddr {rules.subnet} oifname != {br} masquerade"))
    lines += [f"add rule ip {t} {chain} {rule}" for chain, rule in rows]
    return "\n".join(lines)


def strangers_text(rules: Rules) -> str:
    """Keeps the host from routing between networks of its own only because containers need it to route.

    Stays as it is once it is there: that routing was off before is known only at the time.
    """
    t = rules.table
    chain = "{ type filter hook forward priority filter; policy accept; }"
    rule = 'meta iifkind != "bridge" meta oifkind != "bridge" drop'
    return (
        f"add chain ip {t} strangers {chain}\nflush chain ip {t} strangers\nadd rule ip {t} strangers {rule}"
    )


def elements(endpoint: Endpoint) -> tuple[str, ...]:
    """What a table needs for an endpoint's ports: name of the map or set, and element."""
    address = endpoint.ipv4.partition("/")[0]
    found: dict[str, None] = {}
    for port in endpoint.ports:
        value = f"{address} . {port.container_port}"
        if port.host_ip in ("", _ANY):
            found[f"published {{ {port.protocol} . {port.host_port} : {value} }}"] = None
        else:
            found[f"published_at {{ {port.host_ip} . {port.protocol} . {port.host_port} : {value} }}"] = None
        found[f"allowed {{ {address} . {port.protocol} . {port.container_port} }}"] = None
    return tuple(found)


def add_text(rules: Rules, wanted: Iterable[str]) -> str:
    """Puts elements in; those that are there are left."""
    return "\n".join(f"add element ip {rules.table} {element}" for element in wanted)


def remove_text(rules: Rules, unwanted: Sequence[str]) -> str:
    """Takes elements out; adding them first makes that work for those that are not there."""
    lines = [f"delete element ip {rules.table} {element}" for element in unwanted]
    return "\n".join([add_text(rules, unwanted), *lines])


def flush_text(rules: Rules) -> str:
    """Takes all elements out."""
    return "\n".join(f"flush {kind} ip {rules.table} {name}" for kind, name in _SETS)


class Firewall:
    """A bridge's table. Blocks: call it in a thread."""

    def __init__(self, nftables: Nftables) -> None:
        self._nftables = nftables
        self.rules = Rules("", "")
        self._elements: dict[str, tuple[str, ...]] = {}

    def install(self, rules: Rules, *, strangers: bool = False) -> None:
        """Make the table, or mend it, with all published ports.

        With `strangers` also keep the host from routing for others.
        """
        self.rules = rules
        more = strangers_text(rules) if strangers else ""
        self._nftables.run("\n".join([install_text(rules), more, self._all()]))

    def replace(self, endpoints: Sequence[Endpoint]) -> None:
        """These endpoints' ports and no others, in one step."""
        self._elements = {endpoint.id: elements(endpoint) for endpoint in endpoints if endpoint.ports}
        self._nftables.run("\n".join([flush_text(self.rules), self._all()]))

    def publish(self, endpoint: Endpoint) -> None:
        """Make an endpoint's ports reachable. A table that somebody flushed is made again, with all ports."""
        if not endpoint.ports:
            return
        self._elements[endpoint.id] = elements(endpoint)
        try:
            self._nftables.run(add_text(self.rules, self._elements[endpoint.id]))
        except NotFound:
            self._nftables.run("\n".join([install_text(self.rules), self._all()]))
        except MobyError:
            del self._elements[endpoint.id]
            raise

    def withdraw(self, endpoint: Endpoint) -> None:
        """Undo `publish`; no error for what is gone."""
        if unwanted := self._elements.pop(endpoint.id, None):
            try:
                self._nftables.run(remove_text(self.rules, unwanted))
            except NotFound:
                return

    def remove(self) -> None:
        """Remove the table; no error if it is gone."""
        try:
            self._nftables.run(f"delete table ip {self.rules.table}")
        except NotFound:
            return

    def _all(self) -> str:
        return "\n".join(
            filter(None, (add_text(self.rules, known) for known in list(self._elements.values())))
        )
