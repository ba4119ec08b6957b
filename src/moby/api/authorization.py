"""This file is about a request's way past who says what is allowed, and its answer's way back.

What is decided on is what is done: the body that was shown is the one that the handler reads, however long
the client says it is.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping

from moby.api.bodies import body_parts
from moby.api.connection import Connection
from moby.api.serving import BaseRequest, Response
from moby.core.authorization import Answered, Asked, Authorizer
from moby.core.errors import MobyError, System

log = logging.getLogger(__name__)

BODY_LIMIT = 4 << 20
_JSON = "application/json"
_SECRET = frozenset({"authorization", "x-registry-config", "x-registry-auth"})
# Not among a request's headers for those who wrote the protocol.
_APART = frozenset({"host", "transfer-encoding"})
_LOGIN, _COMMIT = "/auth", "/commit"


class Gate:
    """One request at an authorizer. `body` is what of the request's body has been read already."""

    def __init__(self, authorizer: Authorizer, http: BaseRequest, path: str) -> None:
        self._authorizer = authorizer
        self._http = http
        self._path = path
        self._asked = Asked(http.method, http.raw_path)
        self._released = False
        self.body = b""

    async def admit(self) -> None:
        """Raises as `Authorizer.request`, System for a body that is too large to be shown."""
        http = self._http
        # The body of a commit is JSON, whatever the client calls it.
        if self._path == _COMMIT or self._is_shown(http.headers):
            self.body = await self._read()
        peer = http.protocol.peer if isinstance(http.protocol, Connection) else None
        certificate = peer.certificate() if peer is not None else None
        self._asked = Asked(
            http.method,
            http.raw_path,
            _flat(http.headers),
            self.body,
            certificate.common_name if certificate is not None else "",
            (ssl.DER_cert_to_PEM_cert(certificate.der),) if certificate is not None else (),
        )
        await self._authorizer.request(self._asked)

    async def release(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Raises as `Authorizer.response`; an answer is asked about once."""
        if self._released:
            return
        self._released = True
        shown = body if self._is_shown(headers) else b""
        await self._authorizer.response(self._asked, Answered(status, _flat(headers), shown))

    async def release_refusal(self, answer: Response) -> None:
        """An error is the client's to know, whatever is said about it."""
        try:
            await self.release(
                answer.status, answer.headers, answer.body if isinstance(answer.body, bytes) else b""
            )
        except MobyError as error:
            log.info("an error was answered all the same", extra={"error": error.message})

    def _is_shown(self, headers: Mapping[str, str]) -> bool:
        """JSON is, but for what people log in with."""
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return kind == _JSON and self._path != _LOGIN

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        total = 0
        async for part in body_parts(self._http):
            total += len(part)
            if total > BODY_LIMIT:
                raise System(
                    f"request body too large for authorization plugin: size exceeds {BODY_LIMIT} bytes"
                )
            parts.append(part)
        return b"".join(parts)


def _flat(headers: Mapping[str, str]) -> dict[str, str]:
    """The last value of each, named as Go writes names."""
    return {
        "-".join(part.capitalize() for part in name.split("-")): value
        for name, value in headers.items()
        if name.lower() not in _SECRET | _APART
    }
