"""DNS messages: what is read and written, and that nothing hostile does harm."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from moby.networks.resolver.messages import (
    AAAA,
    FORMAT_ERROR,
    NOT_IMPLEMENTED,
    PTR,
    SERVER_FAILURE,
    A,
    address_data,
    answer,
    answers,
    has_failed,
    name_data,
    read_query,
    reverse_address,
)


def query(name: str, kind: int = A, number: int = 7, flags: int = 0x0100) -> bytes:
    """A query as a client sends it."""
    return struct.pack(">HHHHHH", number, flags, 1, 0, 0, 0) + name_data(name) + struct.pack(">HH", kind, 1)


def test_a_question_is_read() -> None:
    found = read_query(query("Web.Example", AAAA))
    assert found is not None
    assert (found.number, found.name, found.kind) == (7, "web.example", AAAA)


def test_an_answer_has_its_question_and_records() -> None:
    found = read_query(query("web"))
    assert found is not None
    data = answer(found, [address_data("10.0.0.1"), address_data("10.0.0.2")])
    number, flags, questions, records, _, _ = struct.unpack_from(">HHHHHH", data)
    assert (number, flags, questions, records) == (7, 0x8180, 1, 2)
    assert data.endswith(b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 600, 4) + b"\x0a\0\0\2")
    assert answers(data, query("web"))
    assert not answers(data, query("web", number=8))
    assert struct.unpack_from(">HH", answer(found, (), SERVER_FAILURE))[1] & 0xF == SERVER_FAILURE


def test_an_answer_that_is_too_long_is_cut_and_says_so() -> None:
    found = read_query(query("web"))
    assert found is not None
    records = [address_data(f"10.0.0.{number}") for number in range(50)]
    data = answer(found, records, limit=found.room)
    _, flags, _, count, _, _ = struct.unpack_from(">HHHHHH", data)
    assert len(data) <= 512
    assert flags & 0x0200
    assert count == (512 - 12 - len(found.section)) // 16
    assert not struct.unpack_from(">HH", answer(found, records))[1] & 0x0200


def test_a_client_says_how_much_it_can_take() -> None:
    data = bytearray(query("web") + b"\0\0\x29" + struct.pack(">HIH", 1232, 0, 0))
    data[11] = 1
    found = read_query(bytes(data))
    assert found is not None
    assert found.room == 1232
    data[-8:-6] = b"\0\1"
    found = read_query(bytes(data))
    assert found is not None
    assert found.room == 512


def test_names_are_turned_round() -> None:
    assert reverse_address("4.3.2.1.in-addr.arpa") == "1.2.3.4"
    assert reverse_address("web.example") == ""
    assert reverse_address("3.2.1.in-addr.arpa") == ""
    found = read_query(query("4.3.2.1.in-addr.arpa", PTR))
    assert found is not None
    assert answer(found, [name_data("web.net")]).endswith(b"\x03web\x03net\0")


def test_what_is_no_question_is_refused() -> None:
    assert read_query(b"") is None
    assert read_query(query("web", flags=0x8180)) is None
    for data, code in (
        (query("web", flags=0x2800), NOT_IMPLEMENTED),
        (query("web")[:-1], FORMAT_ERROR),
        (query("web")[:12] + b"\xc0\x0c\0\1\0\1", FORMAT_ERROR),
        (struct.pack(">HHHHHH", 1, 0, 2, 0, 0, 0) + query("a")[12:] * 2, FORMAT_ERROR),
    ):
        found = read_query(data)
        assert found is not None
        assert found.code == code
        assert struct.unpack_from(">HHH", answer(found, (), found.code)) == (
            found.number, 0x8080 | found.flags & 0x7900 | code, 0,
        )  # fmt: skip
    chaos = read_query(query("web")[:-2] + b"\0\3")
    assert chaos is not None
    assert chaos.group == 3


def test_only_an_answer_to_the_question_is_one() -> None:
    assert answers(query("WEB", flags=0x8180), query("web"))
    assert not answers(query("other", flags=0x8180), query("web"))
    assert not answers(query("web"), query("web"))
    assert not answers(b"\0\7\x80", query("web"))
    refused = struct.pack(">HHHHHH", 7, 0x8105, 0, 0, 0, 0)
    assert answers(refused, query("web"))
    assert has_failed(refused)
    assert not has_failed(query("web", flags=0x8183))


@given(st.binary(max_size=600))
def test_no_bytes_do_harm(data: bytes) -> None:
    found = read_query(data)
    if found is not None:
        assert len(found.name) <= 255
        assert answer(found, ()).startswith(data[:2])


def test_addresses_behind_reverse_names() -> None:
    nibbles = ".".join(reversed("fd000088000000000000000000000002"))
    assert reverse_address(f"{nibbles}.ip6.arpa") == "fd00:88::2"
    assert reverse_address("2.0.17.172.in-addr.arpa") == "172.17.0.2"
    for name in ("2.0.ip6.arpa", "x.y.z.w.in-addr.arpa", f"{nibbles[:-1]}g.ip6.arpa", "example.com"):
        assert reverse_address(name) == ""
