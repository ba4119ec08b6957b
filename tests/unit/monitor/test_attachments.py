"""Attached clients: detach keys, frames, and what a slow client does not take yet."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moby.logs.framing import Deframer
from moby.monitor.attachments import FULL, Attachment, DetachKeys
from moby.monitor.protocol import AttachOptions


def typed(keys: bytes, *chunks: bytes) -> tuple[bytes, bool]:
    """What gets through, until the keys are complete."""
    detach, passed = DetachKeys(keys), b""
    for chunk in chunks:
        more, complete = detach.feed(chunk)
        passed += more
        if complete:
            return passed, True
    return passed, False


@pytest.mark.parametrize(
    ("keys", "chunks", "passed", "complete"),
    [
        (b"\x10\x11", [b"ls\n"], b"ls\n", False),
        (b"\x10\x11", [b"ls\x10\x11"], b"ls", True),
        (b"\x10\x11", [b"ls\x10", b"\x11more"], b"ls", True),
        (b"\x10\x11", [b"\x10", b"x"], b"\x10x", False),
        (b"\x10\x11", [b"\x10"], b"", False),
        (b"\x10\x11", [b"\x10\x10", b"\x11"], b"\x10", True),
        (b"aab", [b"aaab"], b"a", True),
        (b"a", [b"xa"], b"x", True),
        (b"", [b"\x10\x11"], b"\x10\x11", False),
    ],
)
def test_detach_keys(keys: bytes, chunks: list[bytes], passed: bytes, complete: bool) -> None:
    """Whole, split over chunks, broken, begun anew within themselves, none at all."""
    assert typed(keys, *chunks) == (passed, complete)


@given(st.text("ab", min_size=1, max_size=4), st.lists(st.text("abc", max_size=5)))
def test_detach_keys_are_found_where_a_search_finds_them(keys: str, chunks: list[str]) -> None:
    """Nothing before them is lost, and however input is cut they are seen."""
    everything = "".join(chunks)
    passed, complete = typed(keys.encode(), *(chunk.encode() for chunk in chunks))
    at = everything.find(keys)
    assert complete == (at >= 0)
    if complete:
        assert passed.decode() == everything[:at]
    else:
        assert everything.startswith(passed.decode())
        assert keys.startswith(everything[len(passed) :])


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection's two ends: ours, and the client's."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_output_is_framed_if_it_was_asked_for(ends: tuple[socket.socket, socket.socket]) -> None:
    """A frame a chunk."""
    client = Attachment(1, ends[0], AttachOptions(stdout=True, multiplexed=True))
    assert client.wants("stdout")
    assert not client.wants("stderr")
    assert client.deliver("stdout", b"one")
    assert client.deliver("stderr", b"two")
    assert list(Deframer().feed(ends[1].recv(100))) == [("stdout", b"one"), ("stderr", b"two")]


def test_a_slow_client_gets_everything_later(ends: tuple[socket.socket, socket.socket]) -> None:
    """What it does not take is held, in order; a client with too much is full."""
    client = Attachment(1, ends[0], AttachOptions(stdout=True))
    sent = b""
    while not client.full:
        chunk = bytes([len(sent) % 251]) * 100_000
        assert client.deliver("stdout", chunk)
        sent += chunk
    assert len(client.backlog) >= FULL
    got = b""
    while client.backlog:
        got += ends[1].recv(1 << 20)
        assert client.push()
    client.close()
    while more := ends[1].recv(1 << 20):
        got += more
    assert got == sent


def test_a_client_that_is_gone_is_noticed(ends: tuple[socket.socket, socket.socket]) -> None:
    """By what is delivered to it and by what it held."""
    client = Attachment(1, ends[0], AttachOptions(stdout=True))
    ends[1].close()
    assert not client.deliver("stdout", b"x")
    client.backlog += b"x"
    assert not client.push()


def test_taking_tells_nothing_from_the_end(ends: tuple[socket.socket, socket.socket]) -> None:
    """Empty while nothing comes, None when nothing will."""
    client = Attachment(1, ends[0], AttachOptions(stdin=True))
    assert client.take() == b""
    ends[1].send(b"typed")
    assert client.take() == b"typed"
    ends[1].shutdown(socket.SHUT_WR)
    assert client.take() is None
