"""What the packet filter is told."""

from __future__ import annotations

from ipaddress import ip_address

from moby.core.networks import Endpoint, PortMapping
from moby.host.nftables.elements import Element
from moby.networks.firewall_rules import Rules, adding, elements, install, removing, rows

RULES = Rules("docker7", "172.30.0.0/16")


def endpoint(*ports: PortMapping) -> Endpoint:
    return Endpoint("e" * 64, "n", "bridge", "s", ipv4="172.30.0.2/16", ports=ports)


def said(rules: Rules) -> str:
    """In nft's words, a line a rule."""
    return "\n".join(f"{chain} {' '.join(one.said for one in row)}" for chain, row in rows(rules))


def made(rules: Rules) -> list[str]:
    """What is done to the packet filter."""
    return [request.what for request in install(rules)]


def test_a_published_port_is_one_key_and_one_permission() -> None:
    found = elements(endpoint(PortMapping("tcp", 80, "0.0.0.0", 8080)))
    assert found == {
        "published": (Element(b"\6\0\0\0" + b"\x1f\x90\0\0", b"\xac\x1e\0\2" + b"\0\x50\0\0"),),
        "allowed": (Element(b"\xac\x1e\0\2" + b"\6\0\0\0" + b"\0\x50\0\0"),),
    }


def test_a_port_on_one_address_has_the_address_in_its_key() -> None:
    found = elements(endpoint(PortMapping("udp", 53, "127.0.0.1", 53)))
    assert found["published_at"][0].key == b"\x7f\0\0\1" + b"\x11\0\0\0" + b"\0\x35\0\0"


def test_a_port_published_twice_is_permitted_once() -> None:
    found = elements(endpoint(PortMapping("tcp", 80, "", 1), PortMapping("tcp", 80, "", 2)))
    assert len(found["published"]) == 2
    assert len(found["allowed"]) == 1


def test_many_elements_are_few_requests_that_fit() -> None:
    ports = [PortMapping("tcp", port, "", port) for port in range(1, 1001)]
    requests = adding(RULES, elements(endpoint(*ports)))
    assert len(requests) == 6
    assert max(len(request.body) for request in requests) < 1 << 16


def test_the_administrator_s_chain_is_never_flushed_and_comes_first() -> None:
    assert "add chain moby-docker7 user" in made(RULES)
    assert "flush chain moby-docker7 user" not in made(RULES)
    forward = [line for line in said(RULES).splitlines() if line.startswith("forward")]
    assert all("jump user" in line for line in forward[:2])


def test_elements_stay_when_rules_are_made_again() -> None:
    flushed = [what for what in made(RULES) if what.startswith("flush ")]
    assert flushed
    assert all(what.startswith("flush chain") for what in flushed)


def test_without_icc_only_published_ports_pass_between_containers() -> None:
    line = 'iifname "docker7" oifname "docker7" accept'
    assert line in said(RULES)
    assert line not in said(Rules("docker7", "172.30.0.0/16", icc=False))


def test_without_masquerade_what_leaves_keeps_its_address() -> None:
    line = 'ip saddr 172.30.0.0/16 oifname != "docker7" masquerade'
    assert line in said(RULES)
    assert line not in said(Rules("docker7", "172.30.0.0/16", masquerade=False))


def test_taking_out_works_for_what_is_not_there() -> None:
    requests = removing(RULES, elements(endpoint(PortMapping("tcp", 80, "", 0))))
    assert [request.kind & 0xFF for request in requests] == [12, 14]
    assert adding(RULES, {}) == removing(RULES, {}) == []


def rules6(**changes: object) -> Rules:
    return Rules("docker7", "fd00:7::/64", **changes)  # type: ignore[arg-type]


def test_ipv6_has_a_table_of_its_own() -> None:
    text = said(rules6())
    assert rules6().family == "ip6"
    assert "ip saddr" not in text
    assert "ip6 daddr != ::1" in text


def test_a_family_s_elements_are_its_own() -> None:
    both = Endpoint(
        "e" * 64, "n", "net", "s", ipv4="172.30.0.2/16", ipv6="fd00:7::2/64",
        ports=(PortMapping("tcp", 80, "0.0.0.0", 8080), PortMapping("tcp", 80, "::", 8080)),
    )  # fmt: skip
    assert elements(both, "ip")["published"][0].data[:4] == b"\xac\x1e\0\2"
    assert elements(both, "ip6")["published"][0].data[:16] == ip_address("fd00:7::2").packed


def test_without_translation_a_port_is_permitted_alone() -> None:
    found = elements(endpoint(PortMapping("tcp", 80, "0.0.0.0", 0)))
    assert [*found] == ["allowed"]
    text = said(rules6(mode="routed"))
    assert "masquerade" not in text
    assert "dnat" not in text


def test_an_unprotected_network_is_open() -> None:
    assert 'oifname "docker7" accept' in said(rules6(mode="nat-unprotected"))
    assert 'oifname "docker7" accept' not in said(rules6()).replace('iifname "docker7" ', "in ").replace(
        'in oifname "docker7" accept', ""
    )


def test_an_internal_network_has_no_way_out() -> None:
    text = said(rules6(internal=True))
    assert 'iifname "docker7" drop' in text
    assert "masquerade" not in text


def test_an_address_to_be_seen_as() -> None:
    assert "snat to 2001:db8::9" in said(rules6(host_address="2001:db8::9"))


def test_marked_packets_may_come() -> None:
    assert "meta mark 0x00000001 accept" in said(rules6(accepted_mark="0x1"))
    assert "meta mark & 0x00000003 == 0x00000001 accept" in said(rules6(accepted_mark="0x1/0x3"))
