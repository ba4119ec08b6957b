"""This file is about what a bridge's packet filter depends on, and where it stands.

What is forwarded is filtered in one table for all bridges (`firewall_forwarding`); where published ports lead
to, and what address packets leave with, is in a table for each bridge (`firewall_translation`), which is
asked for the first packet of a connection alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from moby.host.nftables.elements import Element
from moby.host.nftables.expressions import Expression
from moby.networks.bridge_options import GatewayMode

Rule = tuple[Expression, ...]
Row = tuple[str, Rule]
Elements = Mapping[str, Sequence[Element]]

COMMON = "moby"
PUBLISHED, PUBLISHED_AT, ALLOWED = "published", "published_at", "allowed"


class Rules(msgspec.Struct, frozen=True):
    """What the rules for a bridge depend on, in one family; `subnet` as text.

    `direct` lets published ports be reached at the container's own address. `host_address` is what is
    masqueraded with, instead of that of the way out. For the interfaces in `trusted` published ports are open
    at a container's own address, too. Packets with the mark `accepted_mark`, `VALUE` or `VALUE/MASK`, may
    come, whatever they are for.
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


def place_of(rules: Rules, name: str) -> tuple[str, str, str]:
    """The family, table and name of one of a bridge's sets."""
    if name == ALLOWED:
        return rules.family, COMMON, f"{ALLOWED}-{rules.bridge}"
    return rules.family, rules.name, name
