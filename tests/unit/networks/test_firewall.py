"""What the packet filter is told."""

from __future__ import annotations

from moby.core.networks import Endpoint, PortMapping
from moby.networks.firewall import Rules, add_text, elements, install_text, remove_text

RULES = Rules("docker7", "172.30.0.0/16")


def endpoint(*ports: PortMapping) -> Endpoint:
    return Endpoint("e" * 64, "n", "bridge", "s", ipv4="172.30.0.2/16", ports=ports)


def test_a_published_port_is_one_key_and_one_permission() -> None:
    assert elements(endpoint(PortMapping("tcp", 80, "0.0.0.0", 8080))) == (
        "published { tcp . 8080 : 172.30.0.2 . 80 }",
        "allowed { 172.30.0.2 . tcp . 80 }",
    )


def test_a_port_on_one_address_has_the_address_in_its_key() -> None:
    assert elements(endpoint(PortMapping("udp", 53, "127.0.0.1", 53)))[0] == (
        "published_at { 127.0.0.1 . udp . 53 : 172.30.0.2 . 53 }"
    )


def test_a_port_published_twice_is_permitted_once() -> None:
    found = elements(endpoint(PortMapping("tcp", 80, "", 1), PortMapping("tcp", 80, "", 2)))
    assert len(found) == len(set(found)) == 3


def test_the_administrator_s_chain_is_never_flushed_and_comes_first() -> None:
    text = install_text(RULES)
    assert "flush chain ip moby-docker7 user" not in text
    forward = [line for line in text.splitlines() if line.startswith("add rule ip moby-docker7 forward")]
    assert all("jump user" in line for line in forward[:2])


def test_elements_stay_when_rules_are_made_again() -> None:
    text = install_text(RULES)
    assert "flush map" not in text
    assert "flush set" not in text


def test_without_icc_only_published_ports_pass_between_containers() -> None:
    line = 'iifname "docker7" oifname "docker7" accept'
    assert line in install_text(RULES)
    assert line not in install_text(Rules("docker7", "172.30.0.0/16", icc=False))


def test_without_masquerade_what_leaves_keeps_its_address() -> None:
    line = 'ip saddr 172.30.0.0/16 oifname != "docker7" masquerade'
    assert line in install_text(RULES)
    assert line not in install_text(Rules("docker7", "172.30.0.0/16", masquerade=False))


def test_taking_out_works_for_what_is_not_there() -> None:
    lines = remove_text(RULES, ["allowed { 172.30.0.2 . tcp . 80 }"]).splitlines()
    assert [line.split()[0] for line in lines] == ["add", "delete"]
    assert add_text(RULES, []) == ""
