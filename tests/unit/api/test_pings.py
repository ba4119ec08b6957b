"""Pings: what is answered at once, and what is left to the parser."""

from __future__ import annotations

import pytest

from moby.api.pings import Pings

COMMON = {"Api-Version": "1.55", "Server": "Docker/test"}


def ask(data: bytes) -> bytes | None:
    return Pings(COMMON).answer(data)


def test_a_ping_gets_its_headers() -> None:
    answer = ask(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"OK"
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert {"Api-Version: 1.55", "Content-Length: 2", "Content-Type: text/plain; charset=utf-8"} <= set(lines)
    assert any(line.startswith("Date: ") and line.endswith("GMT") for line in lines)


@pytest.mark.parametrize("version", [b"", b"/v1.24", b"/v1.55"])
def test_head_has_no_body(version: bytes) -> None:
    answer = ask(b"HEAD " + version + b"/_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: x\r\n\r\n")
    assert answer is not None
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /_ping HTTP/1.1\r\n\r\n",
        b"GET /_ping HTTP/1.0\r\nHost: x\r\n\r\n",
        b"GET /_ping?x=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /_ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1.23/_ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v9.99/_ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nUpgrade : h2c\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nGET /_ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\n",
        b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_anything_else_takes_the_usual_way(data: bytes) -> None:
    assert ask(data) is None


def test_what_is_remembered_is_bounded() -> None:
    pings = Pings(COMMON)
    for number in range(1000):
        assert pings.answer(b"GET /_ping HTTP/1.1\r\nHost: %d\r\n\r\n" % number) is not None
    assert len(pings._known) <= 256
