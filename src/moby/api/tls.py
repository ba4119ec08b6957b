"""This file is about TLS in front of the API: bytes of a client in, plain bytes for the server out.

A client of attach or exec ends its half of the connection when it has no more input, and reads on. asyncio's
TLS ends the whole connection then (its transports know no half-close), so that TLS is spoken here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

_HANDSHAKE_LIMIT_S = 20.0
_GOODBYE_LIMIT_S = 5.0
_CHUNK = 256 * 1024


class PeerCertificate(NamedTuple):
    """A client's certificate, and whom it names."""

    der: bytes
    common_name: str


class TlsFront:
    """One client's TLS; `client` and `plain` are non-blocking sockets, and are closed at the end."""

    def __init__(self, client: socket.socket, plain: socket.socket, context: ssl.SSLContext) -> None:
        self._client = client
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._sending = asyncio.Lock()

    def certificate(self) -> PeerCertificate | None:
        """The client's, if it was asked for one and we trust it."""
        der, known = self._tls.getpeercert(binary_form=True), self._tls.getpeercert()
        if not der or not known:
            return None
        subject: Any = known.get("subject", ())
        names = [value for part in subject for key, value in part if key == "commonName"]
        return PeerCertificate(der, names[-1] if names else "")

    async def run(self) -> None:
        """Until both sides have ended; what a client does wrong ends its connection and nothing else."""
        with self._client, self._plain:
            try:
                async with asyncio.timeout(_HANDSHAKE_LIMIT_S):
                    await self._handshake()
                await self._relay()
            except (TimeoutError, OSError) as error:
                log.debug("TLS client refused or gone", extra={"error": str(error)})
            except Exception:  # whatever it is, the others are served on
                log.exception("TLS client lost")

    async def _relay(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                inwards = group.create_task(self._inwards())
                await self._outwards()
                # The server has said everything: whoever still talks to it is not waited for long.
                async with asyncio.timeout(_GOODBYE_LIMIT_S):
                    await inwards
        except ExceptionGroup as group:
            # Not by `except*`: Python 3.11.2 wraps what is raised there once more.
            _, others = group.split(OSError)
            if others is not None:
                raise
            raise ConnectionResetError(str(group.exceptions[0])) from group

    async def _handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._receive():
                    raise ConnectionResetError("the client left during the handshake") from None
            except ssl.SSLError:
                # Tells the client why: an alert is waiting to be sent.
                await self._flush()
                raise
            else:
                await self._flush()
                return

    async def _receive(self) -> bool:
        """More bytes from the client; False at the end."""
        data = await asyncio.get_running_loop().sock_recv(self._client, _CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return bool(data)

    async def _flush(self) -> None:
        async with self._sending:
            if data := self._outgoing.read():
                await asyncio.get_running_loop().sock_sendall(self._client, data)

    async def _inwards(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = b""
            if not data:
                self._plain.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(self._plain, data)

    async def _outwards(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._plain, _CHUNK):
            self._tls.write(data)
            await self._flush()
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # It wants the client's goodbye, which may come or not.
            log.debug("said goodbye first")
        await self._flush()
        self._client.shutdown(socket.SHUT_WR)
