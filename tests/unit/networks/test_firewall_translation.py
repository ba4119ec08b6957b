"""What becomes of addresses."""

from __future__ import annotations

from typing import Any

from moby.networks.firewall_rules import Rules
from moby.networks.firewall_translation import install, remove, rows

RULES = Rules("docker7", "172.30.0.0/16")


def rules6(**changes: Any) -> Rules:
    return Rules("docker7", "fd00:7::/64", **changes)


def said(rules: Rules) -> str:
    """In nft's words, a line a rule."""
    return "\n".join(f"{chain} {' '.join(one.said for one in row)}" for chain, row in rows(rules))


def test_elements_stay_when_rules_are_made_again() -> None:
    flushed = [request.what for request in install(RULES) if request.what.startswith("flush ")]
    assert len(flushed) == 4
    assert all(what.startswith("flush chain") for what in flushed)


def test_without_masquerade_what_leaves_keeps_its_address() -> None:
    line = 'ip saddr 172.30.0.0/16 oifname != "docker7" masquerade'
    assert line in said(RULES)
    assert line not in said(Rules("docker7", "172.30.0.0/16", masquerade=False))


def test_ipv6_has_a_table_of_its_own() -> None:
    text = said(rules6())
    assert rules6().family == "ip6"
    assert "ip saddr" not in text
    assert "ip6 daddr != ::1" in text


def test_some_translate_nothing() -> None:
    assert rows(rules6(mode="routed")) == rows(rules6(internal=True)) == []
    assert "masquerade" in said(rules6(mode="nat-unprotected"))


def test_an_address_to_be_seen_as() -> None:
    assert "snat to 2001:db8::9" in said(rules6(host_address="2001:db8::9"))


def test_removing_works_for_what_is_not_there() -> None:
    assert [request.what for request in remove("ip", "t")] == ["add table t", "delete table t"]
