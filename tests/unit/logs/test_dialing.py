"""Addresses, and the words for those that nobody answers at."""

from __future__ import annotations

import socket

import pytest

from moby.core.errors import InvalidParameter
from moby.logs.dialing import Unreachable, Url, dial, gone, host_port, parse_url
from tests.log_servers import tcp


@pytest.mark.parametrize(("text", "url"), [
    ("tcp://h:1", Url("tcp", "h:1", "")),
    ("UDP://h", Url("udp", "h", "")),
    ("unix:///a/b", Url("unix", "", "/a/b")),
    ("http://h/p/q", Url("http", "h", "/p/q")),
    ("tcp://[::1]:1", Url("tcp", "[::1]:1", "")),
    ("h", Url("", "", "h")),
])  # fmt: skip
def test_urls(text: str, url: Url) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(("text", "words"), [
    ("udp://a:b", 'parse "udp://a:b": invalid port ":b" after host'),
    ("tcp://[::1", "parse \"tcp://[::1\": missing ']' in host"),
    ("1.2.3.4:5", 'parse "1.2.3.4:5": first path segment in URL cannot contain colon'),
])  # fmt: skip
def test_what_is_no_url(text: str, words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse_url(text)
    assert refused.value.message == words


@pytest.mark.parametrize(("authority", "found"), [
    ("h:1", ("h", 1)), ("h", ("h", 514)), ("[::1]:2", ("::1", 2)), ("[::1]", ("::1", 514)), (":3", ("", 3)),
])  # fmt: skip
def test_hosts_and_ports(authority: str, found: tuple[str, int]) -> None:
    assert host_port(authority, 514) == found


@pytest.mark.parametrize("authority", ["h", "h:x", "h:99999", "a:b:1", "[::1", "h:"])
def test_what_is_no_host_and_port(authority: str) -> None:
    with pytest.raises(InvalidParameter):
        host_port(authority)


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: object, **__: object) -> None:
        """Nobody is known."""
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(Unreachable, match=r"dial tcp: lookup nowhere\.invalid: no such host"):
        dial("tcp", "nowhere.invalid", 1)


def test_a_connection_that_the_other_side_has_closed() -> None:
    with tcp() as listener:
        connection = dial("tcp", "127.0.0.1", int(listener.getsockname()[1]))
        with connection:
            other, _ = listener.accept()
            assert not gone(connection)
            other.shutdown(socket.SHUT_WR)
            other.close()
            assert gone(connection)
