"""This file is about requests that no handler has a part in: what is none of HTTP/1, and paths that are none.

aiohttp takes them as they come. The words are of Go's server.
"""

from __future__ import annotations

import re

from moby.api.serving import BaseRequest, Response

_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_OLDEST, _NEWEST = (1, 0), (1, 1)


def refusal(http: BaseRequest) -> Response | None:
    """The answer to a request that is refused whatever it is for; None to any other."""
    if http.version > _NEWEST:
        answer = Response(status=505, text="505 HTTP Version Not Supported: unsupported protocol version")
    elif http.version < _OLDEST or _BAD_ESCAPE.search(http.raw_path.partition("?")[0]):
        answer = Response(status=400, text="400 Bad Request")
    else:
        return None
    answer.force_close()
    return answer
