"""This file is about requests to a registry: trust, proxies, redirects, credentials, and trying again."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from moby.core.errors import MobyError, System, Unauthorized, Unavailable
from moby.images.registry.auth import Credentials, TokenRequest, parse_challenges, read_token
from moby.images.registry.endpoints import Endpoint, tls_context
from moby.images.registry.failures import ANSWER_LIMIT, refusal
from moby.images.registry.settings import RegistryConfig

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

log = logging.getLogger(__name__)

REDIRECTS = 10
LONGEST_PAUSE_S = 30.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
USER_AGENT = "moby/0.1"

Body = Callable[[], AsyncIterator[bytes]] | bytes | None


class Call(msgspec.Struct, frozen=True):
    """A request; a body that is a function is begun anew at every try."""

    method: str
    url: str
    headers: Mapping[str, str]
    scope: str = ""
    body: Body = None
    body_size: int | None = None
    ok: tuple[int, ...] = (200,)
    attempts: int | None = None


class Transport:
    """Speaks with one endpoint on behalf of one client."""

    def __init__(
        self,
        session: ClientSession,
        endpoint: Endpoint,
        credentials: Credentials,
        config: RegistryConfig,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._session = session
        self.endpoint = endpoint
        self._credentials = credentials
        self._config = config
        self._headers = {"User-Agent": USER_AGENT, **(headers or {})}
        self._token_lock = asyncio.Lock()
        self._tls: dict[str, ssl.SSLContext] = {}

    @property
    def attempts(self) -> int:
        """How often a request is tried."""
        return max(1, self._config.max_download_attempts)

    def absolute(self, location: str) -> str:
        """A location that the registry named, as a URL. Raises System if it is elsewhere."""
        url = urljoin(self.endpoint.url + "/", location)
        if urlsplit(url).scheme not in ("http", "https"):
            raise System("the registry named a place that is no URL")
        return url

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[ClientResponse]:
        """The answer, if its status is one of `call.ok`; it is closed at the end of the block.

        Raises what the registry says, Unauthorized if it does not take the credentials, Unavailable if it
        does not answer. Answers that ask for patience are tried again.
        """
        response = await self._persistently(call)
        try:
            yield response
        finally:
            response.close()

    async def _persistently(self, call: Call) -> ClientResponse:
        attempts = call.attempts or self.attempts
        for attempt in range(1, attempts + 1):
            pause_s = 0.0
            try:
                response = await self._authorized(call)
                if response.status in call.ok:
                    return response
                error = await self._refused(call, response)
                if response.status not in _AGAIN or attempt == attempts:
                    raise error
                pause_s = _retry_after(response.headers.get("Retry-After", ""))
            except Unavailable:
                if attempt == attempts:
                    raise
            await asyncio.sleep(max(pause_s, self.pause(attempt)))
        raise AssertionError("unreachable")

    def pause(self, attempt: int) -> float:
        """Seconds to wait after that many failures."""
        longest = min(LONGEST_PAUSE_S, self._config.retry_delay_s * 2 ** (attempt - 1))
        return float(longest * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _refused(self, call: Call, response: ClientResponse) -> MobyError:
        try:
            body = await response.content.read(ANSWER_LIMIT)
        except Exception:  # noqa: BLE001 - the status says enough
            body = b""
        finally:
            response.close()
        return refusal(call.method, call.url, response.status, response.reason or "", body)

    async def _authorized(self, call: Call) -> ClientResponse:
        for _ in range(2):
            header = self._credentials.header(call.scope)
            response = await self._redirected(call, header)
            if response.status != 401:
                return response
            challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
            error = await self._refused(call, response)
            if not challenges:
                raise Unauthorized(error.message) from error
            try:
                await self._authorize(call.scope, header, challenges)
            except Unauthorized as refused:
                raise Unauthorized(refused.message, said=error.message) from error
        return await self._redirected(call, self._credentials.header(call.scope))

    async def _authorize(self, scope: str, sent: str, challenges: list[Any]) -> None:
        async with self._token_lock:
            if self._credentials.header(scope) not in ("", sent):
                return  # another request has been given one meanwhile
            request = self._credentials.answer(challenges, scope, tls=self.endpoint.scheme == "https")
            if request is not None:
                self._credentials.keep(scope, read_token(await self._fetch_token(request)))

    async def _fetch_token(self, request: TokenRequest) -> bytes:
        method = "POST" if request.body is not None else "GET"
        call = Call(method, request.url, request.headers, body=request.body)
        response = await self._once(call, call.url, {**self._headers, **request.headers})
        if response.status == 200:
            try:
                return await response.content.read(ANSWER_LIMIT)
            finally:
                response.close()
        error = await self._refused(call, response)
        if response.status in (400, 401, 403, 404):
            raise Unauthorized(f"failed to fetch oauth token: {error.message}") from error
        raise error

    async def _redirected(self, call: Call, authorization: str) -> ClientResponse:
        """Follow redirects; what says who we are does not leave the endpoint."""
        url = call.url
        headers = {**self._headers, **call.headers}
        for _ in range(REDIRECTS):
            own = _origin(url) == _origin(self.endpoint.url)
            sent = {**headers, **dict(self.endpoint.headers)} if own else dict(headers)
            if own and authorization:
                sent["Authorization"] = authorization
            response = await self._once(call, url, sent)
            if response.status not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                return response
            target = urljoin(url, response.headers["Location"])
            response.close()
            if urlsplit(target).scheme not in ("http", "https"):
                raise System(f"redirected to {urlsplit(target).scheme or 'nowhere'}")
            if urlsplit(url).scheme == "https" != urlsplit(target).scheme and not self.endpoint.insecure:
                raise System(f"redirected to {urlsplit(target).hostname} without TLS")
            url = target
        raise System(f"stopped after {REDIRECTS} redirects")

    async def _once(self, call: Call, url: str, headers: Mapping[str, str]) -> ClientResponse:
        import aiohttp

        if self.endpoint.insecure and _origin(url) == _origin(self.endpoint.url):
            url = f"{self.endpoint.scheme}:{url.partition(':')[2]}"
        sent = dict(headers)
        if call.body_size is not None:
            sent["Content-Length"] = str(call.body_size)
        try:
            return await self._session.request(
                call.method,
                _encoded(url),
                headers=sent,
                data=call.body() if callable(call.body) else call.body,
                allow_redirects=False,
                ssl=self._trust(url),
                proxy=proxy_for(url, self._config),
            )
        except aiohttp.ClientSSLError as error:
            downgraded = await self._downgrade(call, url, headers, error)
            if downgraded is None:
                raise System(_failed(call, url, error)) from error
            return downgraded
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            downgraded = await self._downgrade(call, url, headers, error)
            if downgraded is None:
                raise Unavailable(_failed(call, url, error)) from error
            return downgraded

    async def _downgrade(
        self, call: Call, url: str, headers: Mapping[str, str], error: Exception
    ) -> ClientResponse | None:
        """An insecure registry that does not speak TLS is spoken to without, from now on."""
        import aiohttp

        own = _origin(url) == _origin(self.endpoint.url)
        if not (own and self.endpoint.insecure and url.startswith("https:")):
            return None
        if isinstance(error, TimeoutError) or (
            "WRONG_VERSION" not in str(error) and not isinstance(error, aiohttp.ClientConnectionError)
        ):
            return None
        secure = self.endpoint
        self.endpoint = msgspec.structs.replace(secure, scheme="http")
        try:
            return await self._once(call, url, headers)
        except MobyError:
            self.endpoint = secure
            return None

    def _trust(self, url: str) -> ssl.SSLContext | bool:
        parts = urlsplit(url)
        if parts.scheme != "https":
            return True
        if parts.netloc not in self._tls:
            own = parts.netloc == self.endpoint.host
            endpoint = self.endpoint if own else Endpoint(parts.netloc.rpartition("@")[2])
            self._tls[parts.netloc] = tls_context(endpoint, self._config.certs_dir)
        return self._tls[parts.netloc]


def _failed(call: Call, url: str, error: Exception) -> str:
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f'failed to do request: {call.method.capitalize()} "{shown}": {failure_words(parts, error)}'


def failure_words(parts: SplitResult, error: Exception) -> str:
    """What went wrong while connecting, in the words that docker's users know."""
    cause = getattr(error, "os_error", error)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if isinstance(cause, ssl.SSLCertVerificationError):
        unknown = "self-signed" in str(cause) or "local issuer" in str(cause)
        words = "certificate signed by unknown authority" if unknown else cause.verify_message
        return f"tls: failed to verify certificate: x509: {words}"
    if isinstance(cause, ssl.SSLError):
        return f"tls: {cause.reason or cause}"
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {parts.hostname}: no such host"
    if isinstance(cause, OSError) and cause.errno:
        return f"dial tcp {parts.hostname}:{port}: connect: {os.strerror(cause.errno).lower()}"
    return str(error) or type(error).__name__


def _origin(url: str) -> tuple[str, str]:
    """Host and port, with any scheme: an insecure registry is the same with TLS and without."""
    parts = urlsplit(url)
    return parts.hostname or "", str(parts.port or "")


def _encoded(url: str) -> Any:
    from yarl import URL

    return URL(url, encoded=True)


def _retry_after(text: str) -> float:
    """Seconds, said as such or as a date; not for ever."""
    if text.isdigit():
        return min(float(text[:9]), LONGEST_PAUSE_S)
    try:
        moment = parsedate_to_datetime(text)
        return min(max((moment - datetime.now(moment.tzinfo)).total_seconds(), 0.0), LONGEST_PAUSE_S)
    except ValueError:
        return 0.0


def proxy_for(url: str, config: RegistryConfig) -> str | None:
    """The proxy for `url`: as configured, or as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say."""
    parts = urlsplit(url)
    own = {"http": config.http_proxy, "https": config.https_proxy, "no": config.no_proxy}
    proxies = {**_proxies(), **{kind: value for kind, value in own.items() if value}}
    if not proxies:
        return None
    from urllib import request

    if request.proxy_bypass_environment(parts.netloc.rpartition("@")[2], proxies):  # type: ignore[attr-defined]
        return None
    host = parts.hostname or ""
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return None
    return proxies.get(parts.scheme)


@functools.cache
def _proxies() -> dict[str, str]:
    from urllib.request import getproxies_environment

    return getproxies_environment()
