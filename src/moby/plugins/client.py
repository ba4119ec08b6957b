"""This file is about speaking to one plugin: a method is a path, what goes over it is JSON."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from moby.core.codec import decode, encode
from moby.core.errors import InvalidParameter, MobyError, NotFound, System
from moby.core.plugins import LIMIT_S, Unreached
from moby.plugins.discovery import Found, TlsOptions

if TYPE_CHECKING:
    from aiohttp import BaseConnector, ClientResponse, ClientSession

log = logging.getLogger(__name__)

T = TypeVar("T")

MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"
_LOCAL = "plugin.moby.localhost"
_LARGEST = 64 << 20
_SILENCE_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


class _Failure(msgspec.Struct, rename="pascal"):
    err: str = ""


class Manifest(msgspec.Struct, frozen=True, rename="pascal"):
    """What a plugin implements."""

    implements: tuple[str, ...] = ()


class PluginClient:
    """One plugin. `patience_s` is how long it is tried to be reached; see `moby.core.plugins.Plugin`.

    Each call has a connection of its own: of one that is kept, nobody knows whether the plugin that has just
    closed it did so before or after it took the call.
    """

    def __init__(self, found: Found, patience_s: float) -> None:
        self.found = found
        self.implements: tuple[str, ...] = ()
        self._patience_s = patience_s
        self._silent_until = 0.0
        self._url = urlsplit(found.address)
        scheme = "https" if self._url.scheme == "https" else "http"
        host = _LOCAL if self._url.scheme == "unix" or not self._url.netloc else self._url.netloc
        self._root = f"{scheme}://{host}"
        self._session: ClientSession | None = None

    @property
    def name(self) -> str:
        """See `Plugin.name`."""
        return self.found.name

    async def activate(self, *, limit_s: float = LIMIT_S, patient: bool = True) -> None:
        """Ask it what it implements. Raises as `call` does."""
        manifest = await self.call("Plugin.Activate", None, Manifest, limit_s=limit_s, patient=patient)
        self.implements = manifest.implements

    async def close(self) -> None:
        """Free what it takes to reach it."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self, method: str, request: object, kind: type[T], *, limit_s: float = LIMIT_S, patient: bool = True
    ) -> T:
        """See `Plugin.call`."""
        loop = asyncio.get_running_loop()
        if not patient and loop.time() < self._silent_until:
            raise System(f"{self._post(method)}: it did not answer before")
        try:
            async with asyncio.timeout(limit_s + (self._patience_s if patient else 0)):
                response = await self._begin(method, request, patient=patient)
                async with asyncio.timeout(limit_s):
                    data = await _whole(response)
        except TimeoutError as error:
            self._silent_until = loop.time() + _SILENCE_S
            raise System(f"{self._post(method)}: context deadline exceeded") from error
        except OSError as error:
            raise System(f"{self._post(method)}: {_words(error)}") from error
        self._silent_until = 0.0
        if response.status != 200:
            raise _refusal(method, response.status, data)
        try:
            return decode(data, kind)
        except InvalidParameter as error:
            raise System(f"{method}: error reading plugin resp: {error.message}") from error

    @asynccontextmanager
    async def stream(self, method: str, request: object) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `Plugin.stream`."""
        try:
            async with asyncio.timeout(LIMIT_S):
                response = await self._begin(method, request, patient=True)
        except TimeoutError as error:
            raise System(f"{self._post(method)}: context deadline exceeded") from error
        try:
            if response.status != 200:
                async with asyncio.timeout(LIMIT_S):
                    raise _refusal(method, response.status, await _whole(response))
            yield self._pieces(method, response)
        finally:
            response.close()

    async def _pieces(self, method: str, response: ClientResponse) -> AsyncIterator[bytes]:
        from aiohttp import ClientError

        try:
            async for piece in response.content.iter_any():
                yield piece
        except (ClientError, OSError) as error:
            raise System(f"{self._post(method)}: {_words(error)}") from error

    async def _begin(self, method: str, request: object, *, patient: bool) -> ClientResponse:
        """The head of the answer. Only what has not been sent as a whole is sent again."""
        from aiohttp import ClientConnectorError, ClientError

        body = b"" if request is None else encode(request) + b"\n"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._patience_s if patient else 0)
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return await self._connections().post(
                    f"{self._root}/{method}", data=body, allow_redirects=False
                )
            except ClientError as error:
                failure = error
            words = _words(failure)
            if isinstance(failure, ClientConnectorError):
                words = f"dial {self._place()}: {_words(failure.os_error, 'connect: ')}"
            elif not _unsent(failure):
                raise System(f"{self._post(method)}: {words}") from failure
            if loop.time() + pause > deadline:
                raise Unreached(f"{self._post(method)}: {words}") from failure
            log.warning("cannot reach a plugin yet", extra={"plugin": self.name, "error": words})
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _connections(self) -> ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=_connector(self._url, self.found.tls),
                headers={"Accept": MEDIA_TYPE},
                skip_auto_headers=("Accept-Encoding", "Content-Type", "User-Agent"),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            )
        return self._session

    def _post(self, method: str) -> str:
        """As Go's client begins its complaints."""
        return f'Post "{self._root}/{method}"'

    def _place(self) -> str:
        if self._url.scheme == "unix":
            return f"unix {self._url.netloc or self._url.path}"
        return f"tcp {self._url.netloc}"


def _connector(url: SplitResult, tls: TlsOptions) -> BaseConnector:
    """Raises System for keys that cannot be read."""
    import aiohttp

    if url.scheme == "unix":
        return aiohttp.UnixConnector(url.netloc or url.path, force_close=True)
    if url.scheme not in ("tcp", "http", "https"):
        raise System(f"protocol not available: {url.scheme}")
    if url.scheme != "https":
        return aiohttp.TCPConnector(force_close=True)
    try:
        return aiohttp.TCPConnector(force_close=True, ssl=_context(tls))
    except OSError as error:
        raise System(f"could not load the keys of a plugin: {error}") from error


def _context(tls: TlsOptions) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file or None)
    return context


async def _whole(response: ClientResponse) -> bytes:
    """Raises System for an answer that has no end, OSError if the plugin goes away."""
    from aiohttp import ClientError

    parts, total = [], 0
    try:
        async for piece in response.content.iter_any():
            total += len(piece)
            if total > _LARGEST:
                raise System(f"a plugin's answer is longer than {_LARGEST} bytes")
            parts.append(piece)
    except ClientError as error:
        raise ConnectionResetError(_words(error)) from error
    finally:
        response.close()
    return b"".join(parts)


def _refusal(method: str, status: int, data: bytes) -> MobyError:
    """An error's status, with the plugin's own words if it has some."""
    words = data.decode(errors="replace")
    with suppress(InvalidParameter):
        words = decode(data, _Failure).err or words
    return (NotFound if status == 404 else System)(f"{method}: {words}")


def _unsent(error: Exception) -> bool:
    """Has a call not gone out? asyncio takes a unix socket whose queue is full for one that is connected."""
    from aiohttp import ClientOSError

    return isinstance(error, ClientOSError) and (
        error.errno == errno.ENOTCONN or "Can not write request body" in str(error)
    )


def _words(error: Exception, doing: str = "") -> str:
    """As Go says it."""
    from aiohttp import ServerDisconnectedError

    if isinstance(error, ServerDisconnectedError):
        return "EOF"
    if _unsent(error):
        return "write: broken pipe"
    if isinstance(error, OSError) and error.strerror:
        return f"{doing}{error.strerror.lower()}"
    return str(error) or type(error).__name__
