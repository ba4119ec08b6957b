"""Netlink messages, byte by byte."""

from __future__ import annotations

import struct

from moby.host.netlink.links import set_link
from moby.host.netlink.requests import (
    ACK,
    REQUEST,
    Request,
    as_number,
    as_text,
    attributes,
    messages,
    nested,
    number,
    text,
)


def test_attributes_are_padded_to_four_bytes() -> None:
    assert text(3, "eth0") == struct.pack("=HH", 9, 3) + b"eth0\0\0\0\0"
    assert len(number(4, 1500)) == 8


def test_attributes_are_read_back() -> None:
    found = attributes(text(3, "docker0") + number(4, 1500) + nested(18, text(1, "bridge")))
    assert as_text(found[3]) == "docker0"
    assert as_number(found[4]) == 1500
    assert as_text(attributes(found[18])[1]) == "bridge"


def test_cut_attributes_end_the_list() -> None:
    assert attributes(b"\2\0\1\0") == {}
    assert attributes(b"\1") == {}


def test_a_change_asks_for_an_answer() -> None:
    packed = Request(16, 0x400, b"abc").pack(7, acknowledged=True)
    assert struct.unpack_from("=IHHII", packed) == (19, 16, 0x400 | REQUEST | ACK, 7, 0)
    assert len(packed) == 20


def test_several_messages_in_one_datagram() -> None:
    data = Request(16, 0, b"abc").pack(1) + Request(17, 0, b"").pack(2)
    assert [(kind, sequence, body) for kind, _, sequence, body in messages(data)] == [
        (16, 1, b"abc"),
        (17, 2, b""),
    ]


def test_a_link_is_named_only_without_index() -> None:
    assert b"veth1" in set_link(name="veth1", up=True).body
    assert b"veth1" not in set_link(name="veth1", index=3, up=True).body
