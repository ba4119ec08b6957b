"""This file is about what a request may ask of HTTP itself, and the answers that no handler has a part in.

aiohttp leaves them to its framework of applications, which is not used here. The words are of Go's server.
"""

from __future__ import annotations

import re

from moby.api.serving import BaseRequest, Response, hdrs

_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_OLDEST, _NEWEST = (1, 0), (1, 1)


def refusal(http: BaseRequest) -> Response | None:
    """The answer to a request that is none of HTTP/1, whose path is no path, or that expects the unknown."""
    wanted = http.headers.get(hdrs.EXPECT)
    answer = None
    if http.version > _NEWEST:
        text = "505 HTTP Version Not Supported: unsupported protocol version"
        answer = Response(status=505, text=text)
    elif http.version < _OLDEST or _BAD_ESCAPE.search(http.raw_path.partition("?")[0]):
        answer = Response(status=400, text="400 Bad Request")
    elif wanted is not None and wanted.lower() != "100-continue":
        answer = Response(status=417)
    if answer is not None:
        answer.force_close()
    return answer


async def expected(http: BaseRequest) -> None:
    """Have a client that waits for it send its body."""
    if hdrs.EXPECT in http.headers and http.version == _NEWEST and http.body_exists:
        await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # An error from here on is an answer still, not a broken one.
        http.writer.output_size = 0
