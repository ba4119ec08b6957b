"""Bodies in chunks: what is read at once, and what is left to HTTP's parser."""

from __future__ import annotations

import random

import pytest

from moby.api.chunks import PlainChunks, head_of_chunked

HEAD = b"POST /images/load HTTP/1.1\r\nHost: d\r\n"


def packed(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def taken(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """The content, and what is somebody else's."""
    chunks, content, rest = PlainChunks(), b"", b""
    for piece in pieces:
        if chunks.over:
            rest += piece
            continue
        found, rest = chunks.take(piece)
        content += found
    return content, rest


@pytest.mark.parametrize(
    ("fields", "is_one"),
    [
        (b"Transfer-Encoding: chunked\r\n", True),
        (b"transfer-encoding:chunked \r\nX: y\r\n", True),
        (b"Content-Length: 5\r\n", False),
        (b"Transfer-Encoding: gzip, chunked\r\n", False),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", False),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", False),
        (b"X-Transfer-Encoding: chunked\r\n", False),
    ],
)
def test_heads_that_say_so(fields: bytes, is_one: bool) -> None:
    head = HEAD + fields + b"\r\n"
    body = b"5\r\nhello\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert head_of_chunked(head + body) == (len(head) if is_one else 0)
    assert head_of_chunked(head[:-2]) == 0


@pytest.mark.parametrize("seed", range(50))
def test_however_it_comes(seed: int) -> None:
    source = random.Random(seed)
    parts = [source.randbytes(source.choice((1, 2, 15, 300, 4096))) for _ in range(source.randrange(1, 9))]
    data = packed(*parts) + b"0\r\nTrailer: x\r\n\r\nGET"
    pieces = []
    while data:
        size = source.choice((1, 2, 3, 7, 500, 5000))
        pieces.append(data[:size])
        data = data[size:]
    assert taken(pieces) == (b"".join(parts), b"0\r\nTrailer: x\r\n\r\nGET")


@pytest.mark.parametrize(
    ("body", "content", "rest"),
    [
        (b"0\r\n\r\n", b"", b"0\r\n\r\n"),
        (b"000\r\n\r\n", b"", b"000\r\n\r\n"),
        (packed(b"a") + b"2;x=y\r\nbc\r\n", b"a", b"2;x=y\r\nbc\r\n"),
        (b"2;x=y\r\nbc\r\n", b"", b"2;x=y\r\nbc\r\n"),
        (packed(b"a") + b"-2\r\n", b"a", b"-2\r\n"),
        (b"123456789\r\n", b"", b"123456789\r\n"),
        (b"1\na", b"", b"1\na"),
        # One that is longer than it says is not taken for two.
        (b"1\r\na1\r\nb\r\n0\r\n\r\n", b"a", b"\x001\r\nb\r\n0\r\n\r\n"),
    ],
)
def test_what_is_not_plain_is_left(body: bytes, content: bytes, rest: bytes) -> None:
    assert taken([body]) == (content, rest)
    assert taken([body[n : n + 1] for n in range(len(body))]) == (content, rest)
