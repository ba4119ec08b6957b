"""The bytes of rules; that the kernel understands them is shown against it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from moby.host.netlink.requests import attributes
from moby.host.nftables import objects as nft
from moby.host.nftables.expressions import (
    Expression,
    accept,
    jump,
    mark,
    named,
    port,
    send_to,
    translate,
    within,
)


def names(*expressions: Expression) -> list[str]:
    """What each of the kernel's own expressions is called."""
    found, at, packed = [], 0, b"".join(one.packed for one in expressions)
    while at < len(packed):
        size = int.from_bytes(packed[at : at + 2], "little")
        found.append(attributes(packed[at + 4 : at + size])[1].rstrip(b"\0").decode())
        at += size + -size % 4
    return found


@pytest.mark.parametrize(
    ("expression", "said", "made"),
    [
        pytest.param(accept(), "accept", ["immediate"], id="verdict"),
        pytest.param(jump("user"), "jump user", ["immediate"], id="jump"),
        pytest.param(named("iifname", "br0", other=True), 'iifname != "br0"', ["meta", "cmp"], id="name"),
        pytest.param(
            within("saddr", ip_network("10.0.0.0/8")), "ip saddr 10.0.0.0/8", ["payload", "cmp"], id="bytes"
        ),
        pytest.param(
            within("daddr", ip_network("10.0.0.0/12")),
            "ip daddr 10.0.0.0/12", ["payload", "bitwise", "cmp"], id="bits",
        ),
        pytest.param(mark(1), "meta mark 0x00000001", ["meta", "cmp"], id="mark"),
        pytest.param(
            mark(1, 3), "meta mark & 0x00000003 == 0x00000001", ["meta", "bitwise", "cmp"], id="masked mark"
        ),
        pytest.param(port("tcp", 53), "tcp dport 53", ["meta", "cmp", "payload", "cmp"], id="port"),
        pytest.param(
            send_to(ip_address("::1"), 53), "dnat to [::1]:53", ["immediate", "immediate", "nat"], id="address"
        ),
        pytest.param(
            translate(4, "map", to_address=True),
            "dnat ip to ip daddr . meta l4proto . th dport map @map",
            ["payload", "meta", "payload", "lookup", "nat"], id="map",
        ),
    ],
)  # fmt: skip
def test_words_and_what_they_are_made_of(expression: Expression, said: str, made: list[str]) -> None:
    assert expression.said == said
    assert names(expression) == made


def test_a_failure_names_the_rule() -> None:
    request = nft.add_rule("ip", "t", "c", (named("oifname", "br0"), accept()))
    assert request.what == 'add rule t c oifname "br0" accept'


def test_fields_of_a_key_take_whole_words() -> None:
    request = nft.add_set("ip", "t", "s", ("ipv4_addr", "inet_proto", "inet_service"))
    found = attributes(request.body[4:])
    assert int.from_bytes(found[5], "big") == 12
    assert int.from_bytes(found[4], "big") == 7 << 12 | 12 << 6 | 13
