"""What gets through."""

from __future__ import annotations

from typing import Any

from moby.networks.firewall_forwarding import close_to_strangers, common_rows, install, remove, rows
from moby.networks.firewall_rules import Rules


def rules(**changes: Any) -> Rules:
    return Rules("docker7", "172.30.0.0/16", **changes)


def said(rules: Rules) -> list[str]:
    """In nft's words, a line a rule."""
    return [f"{chain} {' '.join(one.said for one in row)}" for chain, row in rows(rules)]


def made(rules: Rules) -> list[str]:
    """What is done to the packet filter."""
    return [request.what for request in install(rules)]


def test_the_administrator_s_chain_is_never_flushed_and_comes_first() -> None:
    assert "add chain moby user" in made(rules())
    assert "flush chain moby user" not in made(rules())
    assert said(rules())[0] == "to-docker7 jump user"
    assert said(rules())[-2:] == ["from-docker7 jump user", "from-docker7 accept"]


def test_what_is_permitted_stays_when_rules_are_made_again() -> None:
    flushed = [what for what in made(rules()) if what.startswith("flush ")]
    assert flushed
    assert all(what.startswith("flush chain") for what in flushed)


def test_a_packet_meets_as_few_rules_as_ever_on_its_way_to_a_bridge() -> None:
    assert len(common_rows("ip")) == 5
    assert len(common_rows("ip6")) == 3
    assert said(rules())[1] == "to-docker7 ct state established,related accept"


def test_without_icc_only_published_ports_pass_between_containers() -> None:
    line = 'to-docker7 iifname "docker7" accept'
    assert line in said(rules())
    assert line not in said(rules(icc=False))
    assert any("@allowed-docker7 accept" in one for one in said(rules(icc=False)))


def test_an_unprotected_network_is_open() -> None:
    assert "to-docker7 accept" in said(rules(mode="nat-unprotected"))
    assert "to-docker7 accept" not in said(rules())


def test_a_routed_network_answers_who_asks_whether_it_is_there() -> None:
    assert "to-docker7 icmp type echo-request accept" in said(rules(mode="routed"))


def test_an_internal_network_has_no_way_out_nor_in() -> None:
    assert said(rules(internal=True)) == [
        "to-docker7 jump user",
        "to-docker7 ct state established,related accept",
        'to-docker7 iifname "docker7" accept',
        "to-docker7 drop",
        "from-docker7 jump user",
        "from-docker7 drop",
    ]
    assert "elements of moby closed" in made(rules(internal=True))
    assert "elements of moby closed" not in made(rules())


def test_nothing_comes_from_an_internal_network_into_another_by_any_door() -> None:
    for one in (rules(), rules(mode="nat-unprotected"), rules(trusted=("eth1",)), rules(accepted_mark="1")):
        lines = said(one)
        closed = lines.index("to-docker7 iifname @closed drop")
        opened = [at for at, line in enumerate(lines) if line.startswith("to-") and line.endswith("accept")]
        answers, neighbours, *doors = opened
        assert answers < neighbours < closed < min(doors)


def test_marked_packets_may_come() -> None:
    assert "to-docker7 meta mark 0x00000001 accept" in said(rules(accepted_mark="0x1"))
    assert "to-docker7 meta mark & 0x00000003 == 0x00000001 accept" in said(rules(accepted_mark="1/3"))


def test_interfaces_that_are_trusted() -> None:
    line = 'to-docker7 iifname "eth1" ip daddr . meta l4proto . th dport @allowed-docker7 accept'
    assert line in said(rules(trusted=("eth1",)))


def test_strangers_pass_no_more() -> None:
    assert close_to_strangers("ip")[-1].what == (
        'add rule moby foreign meta iifkind != "bridge" meta oifkind != "bridge" drop'
    )


def test_removing_works_for_what_is_not_there() -> None:
    done = [request.what for request in remove("ip", "docker7")]
    for what in ("chain moby to-docker7", "chain moby from-docker7", "set moby allowed-docker7"):
        assert done.index(f"add {what}") < done.index(f"delete {what}")
