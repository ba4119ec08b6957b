"""Rules are in the kernel as they say they are: nft lists each in the very words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from moby.host.netlink import RoutingSocket
from moby.host.nftables import Nftables
from moby.host.nftables import objects as nft
from moby.host.nftables.expressions import addressed, port, send_to
from moby.networks import firewall_forwarding as forwarding
from moby.networks import firewall_translation as translation
from moby.networks.firewall import Firewall, sweep
from moby.networks.firewall_rules import Rules

pytestmark = pytest.mark.kernel

FOUR, SIX = "172.30.0.0/16", "fd00:7::/64"


def listed(nftables: Nftables, table: str) -> dict[str, list[str]]:
    """Each chain's rules."""
    found: dict[str, list[str]] = {}
    chain: list[str] = []
    for line in map(str.strip, nftables.run(f"list table {table}").splitlines()):
        if begin := re.fullmatch(r"chain (\S+) {", line):
            chain = found[begin[1]] = []
        elif line and line != "}" and not line.startswith(("type ", "table ")):
            chain.append(line)
    return found


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(Rules("docker7", FOUR), id="usual"),
        pytest.param(Rules("docker7", SIX), id="usual-ipv6"),
        pytest.param(Rules("docker7", "10.64.0.32/27", icc=False, masquerade=False), id="few"),
        pytest.param(Rules("docker7", "10.0.0.0/8", direct=True), id="direct"),
        pytest.param(Rules("docker7", FOUR, internal=True, icc=False), id="internal"),
        pytest.param(Rules("docker7", SIX, internal=True), id="internal-ipv6"),
        pytest.param(Rules("docker7", FOUR, mode="routed", trusted=("eth0", "eth1")), id="routed"),
        pytest.param(Rules("docker7", SIX, mode="routed", accepted_mark="5"), id="routed-ipv6"),
        pytest.param(
            Rules(
                "docker7", FOUR, mode="nat-unprotected", host_address="192.0.2.1", accepted_mark="0x10/0xff"
            ),
            id="unprotected",
        ),
        pytest.param(Rules("docker7", "fd00:7::/61", host_address="2001:db8::9"), id="odd-ipv6"),
        pytest.param(Rules("a-name-of-15byt", FOUR), id="long-name"),
    ],
)
def test_what_is_said_is_what_is_there(nftables: Nftables, rules: Rules) -> None:
    said: dict[str, list[str]] = defaultdict(list)
    for chain, row in (
        *translation.rows(rules),
        *forwarding.common_rows(rules.family),
        *forwarding.rows(rules),
    ):
        said[chain].append(" ".join(one.said for one in row))
    firewall = Firewall(nftables)
    for _ in "again":
        firewall.install(rules.bridge, [rules])
    found = listed(nftables, f"{rules.family} {rules.name}") | listed(nftables, f"{rules.family} moby")
    assert found.pop("user") == []
    assert {chain: each for chain, each in found.items() if each} == dict(said)


def test_the_chains_and_sets_are_those_that_nft_would_make(nftables: Nftables) -> None:
    firewall = Firewall(nftables)
    firewall.install("docker7", [Rules("docker7", FOUR), Rules("docker7", SIX)], strangers=["ip"])
    before = nftables.run("list ruleset")
    for line in (
        "map published {\n\t\ttype inet_proto . inet_service : ipv4_addr . inet_service\n",
        "map published_at {\n\t\ttype ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service\n",
        "set allowed-docker7 {\n\t\ttype ipv4_addr . inet_proto . inet_service\n",
        'set bridges {\n\t\ttype ifname\n\t\telements = { "docker7" }\n',
        'map arriving {\n\t\ttype ifname : verdict\n\t\telements = { "docker7" : jump to-docker7 }\n',
        "chain prerouting {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n",
        "chain output {\n\t\ttype nat hook output priority -100; policy accept;\n",
        "chain guard {\n\t\ttype filter hook prerouting priority raw; policy accept;\n",
        "chain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n",
        "chain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n",
        'meta iifkind != "bridge" meta oifkind != "bridge" drop\n',
    ):
        assert line in before
    nftables.run(f"flush ruleset\n{before}")
    assert nftables.run("list ruleset") == before


def test_an_address_and_port_to_send_to(nftables: Nftables) -> None:
    place = "ip", "t", "c"
    rule = (
        addressed("daddr", ip_address("127.0.0.11")),
        port("udp", 53),
        send_to(ip_address("127.0.0.11"), 4000),
    )
    nftables.change(
        [nft.add_table("ip", "t"), nft.add_chain(*place, ("nat", "output", -100)), nft.add_rule(*place, rule)]
    )
    assert listed(nftables, "ip t")["c"] == ["ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:4000"]


def test_bridges_share_a_table_as_long_as_there_is_one(nftables: Nftables) -> None:
    one, other = Firewall(nftables), Firewall(nftables)
    one.install("docker7", [Rules("docker7", FOUR, internal=True)])
    alone = nftables.run("list ruleset")
    other.install("docker8", [Rules("docker8", "172.31.0.0/16"), Rules("docker8", SIX)])
    nftables.run("add rule ip moby user drop")
    for _ in "again":
        other.remove()
    nftables.delete_unused("ip6", "moby", "bridges")
    assert nftables.run("list ruleset") == alone.replace("chain user {\n", "chain user {\n\t\tdrop\n")
    sweep(nftables)
    assert "docker7" in nftables.run("list ruleset")
    one.remove()
    sweep(nftables)
    assert nftables.run("list ruleset") == ""
    sweep(nftables)


def test_what_is_shared_stays_if_somebody_comes_meanwhile(
    nftables: Nftables, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Firewall(nftables), Firewall(nftables)
    one.install("docker7", [Rules("docker7", FOUR)])
    one.remove()
    look = RoutingSocket.dump

    def slowly(routing: RoutingSocket, *words: Any) -> Iterator[bytes]:
        found = list(look(routing, *words))
        monkeypatch.undo()
        nftables.run("add table ip elsewhere")
        return iter(found)

    monkeypatch.setattr(RoutingSocket, "dump", slowly)
    direct = nftables._opened()
    direct.delete_unused("ip", "moby", "bridges")
    assert "table ip moby {" in nftables.run("list ruleset")
    direct.delete_unused("ip", "moby", "bridges")
    assert "table ip moby {" not in nftables.run("list ruleset")
    other.install("docker8", [Rules("docker8", FOUR)])
    direct.delete_unused("ip", "moby", "bridges")
    assert "docker8" in nftables.run("list ruleset")
