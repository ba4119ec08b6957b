"""This file is about requests that are refused whatever they are for, and those that say nothing."""

from __future__ import annotations

import asyncio

import pytest

LIMIT_S = 5.0


async def _asked(address: str, text: str, body: bytes = b"") -> bytes:
    """Everything that comes back until the server closes."""
    reader, writer = await asyncio.open_unix_connection(address)
    writer.write(text.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    async with asyncio.timeout(LIMIT_S):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
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
