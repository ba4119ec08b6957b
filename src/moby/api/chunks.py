"""This file is about a request's body that comes in chunks (RFC 9112, 7.1), as long as they are plain ones.

Clients send the archives of images in chunks of 32 KB, some ten thousand of them for an image. HTTP's parser
calls its caller several times for each and copies what it cannot pass on yet again and again, which takes
longer than all else that is done with an archive. What is not plain is left to that parser.
"""

from __future__ import annotations

import re

_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_OTHERWISE = re.compile(rb"\r\n(?:content-length|transfer-encoding):", re.IGNORECASE)
_FIRST = re.compile(rb"([0-9a-fA-F]{1,8})\r\n")
_NEXT = re.compile(rb"\r\n([0-9a-fA-F]{1,8})\r\n")
# How a chunk may begin that is cut off.
_CUT = re.compile(rb"(?:\r(?:\n(?:[0-9a-fA-F]{0,8}|[0-9a-fA-F]{1,8}\r)?)?)?")
_CUT_FIRST = re.compile(rb"[0-9a-fA-F]{0,8}|[0-9a-fA-F]{1,8}\r")
_NO_SIZE = b"\0"


def head_of_chunked(data: bytes) -> int:
    """How long a request's head is that says that a body in chunks follows; 0 if it says anything else."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4 or _CHUNKED.search(data, 0, end - 2) is None:
        return 0
    return end if len(_OTHERWISE.findall(data, 0, end - 2)) == 1 else 0


class PlainChunks:
    """Takes the content out of chunks that have a size and nothing else, until another one comes.

    Life: `take` until `over`; what is left of the body then, its last chunk as a rule, is another parser's.
    """

    def __init__(self) -> None:
        self.over = False
        self._left = 0
        self._cut = b""
        self._is_first = True

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """The content in these bytes, and what follows the last plain chunk once it is `over`."""
        if self._cut:
            data, self._cut = self._cut + data, b""
        view, content, position = memoryview(data), list[memoryview](), 0
        while position < len(data):
            if self._left:
                part = view[position : position + self._left]
                content.append(part)
                position += len(part)
                self._left -= len(part)
                continue
            match = (_FIRST if self._is_first else _NEXT).match(data, position)
            if match is None and (_CUT_FIRST if self._is_first else _CUT).fullmatch(data, position):
                self._cut = data[position:]
                break
            if match is None or not int(match[1], 16):
                self.over = True
                return b"".join(content), self._rest(data, position)
            self._left, self._is_first = int(match[1], 16), False
            position = match.end()
        return b"".join(content), b""

    def _rest(self, data: bytes, position: int) -> bytes:
        """What begins a chunk for who knows nothing of those before."""
        if self._is_first:
            return data[position:]
        if data.startswith(b"\r\n", position):
            return data[position + 2 :]
        # The chunk before goes on beyond its size: that must not be taken for another one.
        return _NO_SIZE + data[position:]
