"""This file is about pings, which every client begins with: answered without a parser, a task and a handler.

Only a whole request that is nothing but a ping is; whatever else it may ask for takes the usual way.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate

from moby.api import versions
from moby.core.errors import InvalidParameter

_PING = re.compile(rb"(GET|HEAD) (?:/v([0-9.]{1,16}))?/_ping HTTP/1\.1\r\n(?:[^\r\n]+\r\n)+\r\n")
_MEANS_MORE = re.compile(
    rb"\n(?:connection|content-length|transfer-encoding|upgrade|expect|te|trailer)[ \t]*:", re.IGNORECASE
)
_KNOWN_LIMIT = 256
_LENGTH_LIMIT = 4096

HEADERS: Mapping[str, str] = {
    # Builder-Version 1: clients are not to use BuildKit's session, which is not there.
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Content-Type": "text/plain; charset=utf-8",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}


class Pings:
    """Knows the answer to each ping that it has seen, byte for byte; the time in it is of this second."""

    def __init__(self, common: Mapping[str, str], held: Callable[[], bool] = lambda: False) -> None:
        self._held = held
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in {**common, **HEADERS}.items())
        self._known: dict[bytes, bytes] = {}
        self._until = 0.0

    def answer(self, data: bytes) -> bytes | None:
        """The answer; None if this is not a ping alone, or if pings are `held` up as all else is."""
        if self._held():
            return None
        now = time.monotonic()
        if now >= self._until:
            self._known.clear()
            self._until = now + 1.0
        found = self._known.get(data)
        if found is None and len(data) <= _LENGTH_LIMIT and (found := self._made(data)) is not None:
            if len(self._known) >= _KNOWN_LIMIT:
                self._known.clear()
            self._known[data] = found
        return found

    def _made(self, data: bytes) -> bytes | None:
        match = _PING.fullmatch(data)
        if match is None or _MEANS_MORE.search(data) is not None or b"\nhost:" not in data.lower():
            return None
        if match[2]:
            try:
                versions.negotiate(match[2].decode())
            except InvalidParameter:
                return None
        body = "" if match[1] == b"HEAD" else "OK"
        date = formatdate(usegmt=True)
        head = f"HTTP/1.1 200 OK\r\n{self._headers}Content-Length: {len(body)}\r\nDate: {date}\r\n\r\n"
        return f"{head}{body}".encode()
