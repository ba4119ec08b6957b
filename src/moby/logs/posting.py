"""This file is about log drivers that speak HTTP: requests one after the other over one connection."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import NamedTuple

from moby.core.errors import Unavailable
from moby.logs.dialing import Tls, Unreachable, Url, close, dial, gone, host_port

_MOST_SAID = 1024


class Answer(NamedTuple):
    """What a server says; no more of its words than one wants to show."""

    status: int
    reason: str
    body: bytes
    headers: Mapping[str, str]


class Client:
    """Blocks; a connection that the server has closed meanwhile is made anew."""

    def __init__(self, url: Url, tls: Tls | None = None, *, limit_s: float = 30.0) -> None:
        self._url = url
        secure = url.scheme == "https"
        self._tls = (tls or Tls()) if secure else None
        self._host, self._port = host_port(url.authority, 443 if secure else 80)
        self._limit_s = limit_s
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request. Raises Unreachable and Unavailable."""
        connection = self._connected(method, path)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            words = answer.read(1 << 20)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(f"{self._shown(method, path)}: {str(error) or 'EOF'}") from error
        return Answer(
            answer.status, answer.reason, words, {name.lower(): value for name, value in answer.getheaders()}
        )

    def _shown(self, method: str, path: str) -> str:
        return f'{method.title()} "{self._url.scheme}://{self._url.authority}{path}"'

    def _connected(self, method: str, path: str) -> http.client.HTTPConnection:
        known = self._connection
        if known is not None and known.sock is not None and not gone(known.sock):
            return known
        self.close()
        try:
            made = dial("tcp", self._host, self._port, self._tls)
        except Unreachable as error:
            raise Unreachable(f"{self._shown(method, path)}: {error.message}") from error
        made.settimeout(self._limit_s)
        # The name that the server is asked by, with its port as far as it is not the usual one.
        self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._limit_s)
        if self._tls is not None:
            self._connection.default_port = http.client.HTTPS_PORT
        self._connection.sock = made
        return self._connection

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            close(self._connection.sock)
            self._connection = None


def said(answer: Answer) -> str:
    """An answer in a few words."""
    body = answer.body[:_MOST_SAID].decode("utf-8", "replace")
    return f"{answer.status} {answer.reason} - {body}"
