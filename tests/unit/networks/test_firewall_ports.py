"""Published ports as elements."""

from __future__ import annotations

from ipaddress import ip_address

from moby.core.networks import Endpoint, PortMapping
from moby.host.nftables.elements import Element
from moby.networks.firewall_ports import adding, elements, flushing, removing
from moby.networks.firewall_rules import Rules

RULES = Rules("docker7", "172.30.0.0/16")


def endpoint(*ports: PortMapping) -> Endpoint:
    return Endpoint("e" * 64, "n", "bridge", "s", ipv4="172.30.0.2/16", ports=ports)


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


def test_taking_out_works_for_what_is_not_there() -> None:
    requests = removing(RULES, elements(endpoint(PortMapping("tcp", 80, "", 0))))
    assert [request.kind & 0xFF for request in requests] == [12, 14]
    assert adding(RULES, {}) == removing(RULES, {}) == []


def test_a_family_s_elements_are_its_own() -> None:
    both = Endpoint(
        "e" * 64, "n", "net", "s", ipv4="172.30.0.2/16", ipv6="fd00:7::2/64",
        ports=(PortMapping("tcp", 80, "0.0.0.0", 8080), PortMapping("tcp", 80, "::", 8080)),
    )  # fmt: skip
    assert elements(both, "ip")["published"][0].data[:4] == b"\xac\x1e\0\2"
    assert elements(both, "ip6")["published"][0].data[:16] == ip_address("fd00:7::2").packed


def test_without_translation_a_port_is_permitted_alone() -> None:
    assert [*elements(endpoint(PortMapping("tcp", 80, "0.0.0.0", 0)))] == ["allowed"]


def test_what_is_permitted_stands_in_the_table_of_all() -> None:
    assert [request.what for request in flushing(RULES)] == [
        "flush moby-docker7 published",
        "flush moby-docker7 published_at",
        "flush moby allowed-docker7",
    ]
