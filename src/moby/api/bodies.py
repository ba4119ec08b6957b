"""This file is about a request's body: it is asked for only when somebody is about to read it.

A client that says `Expect: 100-continue` (RFC 9110, 10.1.1) waits, curl for a second, until it is told to
send its body. One whose request is refused before is never told so, and what it sends next is not that body.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from moby.api.serving import BaseRequest, HttpVersion11, RequestKey

_TOLD = RequestKey("_TOLD", bool)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_EXPECTED = "100-continue"


def unknown_expectation(http: BaseRequest) -> bool:
    """Does it expect what nobody can do?"""
    return http.headers.get("Expect", _EXPECTED).strip().lower() != _EXPECTED


def waits(http: BaseRequest) -> bool:
    """Does the client wait for word before it sends its body?"""
    return (
        "Expect" in http.headers and http.version >= HttpVersion11 and http.body_exists and _TOLD not in http
    )


async def body_parts(http: BaseRequest) -> AsyncIterator[bytes]:
    """The body in chunks, however long, as they come."""
    # A client that sees its answer begin has understood that it need not wait.
    if waits(http) and http.transport is not None and http.writer.output_size == 0:
        http[_TOLD] = True
        http.transport.write(_CONTINUE)
    async for part in http.content.iter_any():
        yield part
