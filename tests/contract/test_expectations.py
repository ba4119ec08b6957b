"""This file is about what a request asks of HTTP itself: its version, its path, and whether its body is wanted."""

from __future__ import annotations

import asyncio

import pytest

LIMIT_S = 5.0
CREATE = "POST /v1.55/volumes/create HTTP/1.1\nHost: d\nContent-Type: application/json\nContent-Length: 14\n"
BODY = b'{"Name":"one"}'


async def _asked(address: str, text: str, body: bytes = b"") -> bytes:
    """Everything that comes back until the server closes."""
    reader, writer = await asyncio.open_unix_connection(address)
    writer.write(text.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    async with asyncio.timeout(LIMIT_S):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_client_that_waits_is_told_to_send_its_body(address: str) -> None:
    reader, writer = await asyncio.open_unix_connection(address)
    head = f"{CREATE}Connection: close\nExpect: 100-Continue\n\n"
    writer.write(head.replace("\n", "\r\n").encode())
    async with asyncio.timeout(LIMIT_S):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert (await reader.read()).startswith(b"HTTP/1.1 201 Created\r\n")
    writer.close()


async def test_a_client_that_waits_in_vain_is_told_why(address: str) -> None:
    """Nobody reads the body of a request that is for nobody."""
    said = await _asked(
        address, "POST /nothing HTTP/1.1\nHost: d\nConnection: close\nContent-Length: 2\nExpect: 100-continue"
    )
    assert said.startswith(b"HTTP/1.1 404 Not Found\r\n")


async def test_an_error_after_the_invitation_is_an_answer(address: str) -> None:
    text = f"{CREATE.replace('14', '1')}Connection: close\nExpect: 100-continue"
    said = await _asked(address, text, b"{")
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\n")
    assert said.endswith(b'{"message":"invalid JSON: unexpected EOF"}\n')


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        pytest.param("GET /_ping HTTP/1.1\nHost: d\nExpect: nonsense", b"417", b"", id="another wish"),
        pytest.param(
            "GET /v1.55/containers/a%zz/json HTTP/1.1\nHost: d", b"400", b"400 Bad Request", id="path"
        ),
        pytest.param(
            "GET /_ping HTTP/2.0\nHost: d",
            b"505",
            b"505 HTTP Version Not Supported: unsupported protocol version",
            id="a newer version",
        ),
        pytest.param("GET /_ping", b"400", b"400 Bad Request", id="an older version"),
    ],
)
async def test_what_is_refused_before_anybody_sees_it(
    address: str, text: str, status: bytes, words: bytes
) -> None:
    said = await _asked(address, text)
    assert said.split()[1] == status
    assert said.partition(b"\r\n\r\n")[2] == words


@pytest.mark.parametrize(
    "body", ["{}", "null", '{"HostConfig": {"Memory": 1}}', '{"NetworkingConfig": null}']
)
async def test_a_container_of_which_nothing_is_said(address: str, body: str) -> None:
    said = await _asked(
        address,
        "POST /containers/create HTTP/1.1\nHost: d\nConnection: close\nContent-Type: application/json\n"
        f"Content-Length: {len(body)}",
        body.encode(),
    )
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert said.endswith(b'{"message":"config cannot be empty in order to create a container"}\n')
