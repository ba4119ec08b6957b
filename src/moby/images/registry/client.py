"""This file is about a repository at a registry: its tags, manifests and blobs (OCI distribution spec)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from moby.core.descriptor import INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, Descriptor
from moby.core.digest import is_digest
from moby.core.errors import (
    DataLoss,
    InvalidParameter,
    MobyError,
    NotFound,
    System,
    Unavailable,
)
from moby.core.reference import Reference
from moby.core.types.registries import AuthConfig
from moby.images.documents import MANIFEST_LIMIT, read_document
from moby.images.registry.auth import Credentials
from moby.images.registry.endpoints import endpoints
from moby.images.registry.hosts_files import Capability
from moby.images.registry.settings import RegistryConfig
from moby.images.registry.transport import Call, Transport, proxy_for

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from aiohttp.client import _RequestContextManager

log = logging.getLogger(__name__)

T = TypeVar("T")

TAGS_LIMIT = 10_000
_ACCEPT = ", ".join([*sorted(MANIFEST_TYPES), *sorted(INDEX_TYPES), "*/*"])
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


class Registries:
    """Every registry; an async context manager that owns the connections.

    `settings` gives the configuration as of now; the numbers of transfers at once are taken at the start.
    """

    def __init__(self, settings: Callable[[], RegistryConfig]) -> None:
        self._settings = settings
        config = settings()
        self._session: ClientSession | None = None
        self._downloads = asyncio.Semaphore(config.max_concurrent_downloads)
        self._uploads = asyncio.Semaphore(config.max_concurrent_uploads)

    @property
    def downloads(self) -> asyncio.Semaphore:
        """A place for each blob that may be fetched at once."""
        return self._downloads

    @property
    def uploads(self) -> asyncio.Semaphore:
        """A place for each blob that may be sent at once."""
        return self._uploads

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def repository(
        self,
        reference: Reference,
        auth: AuthConfig | None = None,
        *,
        push: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Repository:
        """A repository as one client sees it; for `push` at the one place that takes pushes."""
        config = self._settings()
        found = list(endpoints(reference.domain, config))
        if push:
            # Who may be pushed to is asked in order, and the first one is it.
            found = [next((each for each in found if "push" in each.capabilities), found[-1])]
        session = self._connections()
        transports = [
            # A mirror is not the registry that the credentials are for.
            Transport(session, endpoint, Credentials(None if endpoint.mirror else auth), config, headers)
            for endpoint in found
        ]
        return Repository(reference, transports, push=push)

    def own(self, domain: str, auth: AuthConfig | None) -> Transport:
        """A registry itself, without a repository, for logging in."""
        config = self._settings()
        return Transport(self._connections(), endpoints(domain, config)[-1], Credentials(auth), config)

    def get(self, url: str) -> _RequestContextManager:
        """What is at a URL that is no registry's, through the proxy that is configured."""
        return self._connections().get(url, proxy=proxy_for(url, self._settings()))

    def _connections(self) -> ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60),
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, ttl_dns_cache=10),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=1 << 18,
            )
        return self._session


class Repository:
    """One repository; mirrors are asked first, and what they cannot give is asked of the registry itself."""

    def __init__(self, reference: Reference, transports: list[Transport], *, push: bool = False) -> None:
        self.reference = reference
        self.transports = transports
        self._path = f"/{reference.path}"
        self.scope = f"repository:{reference.path}:{'pull,push' if push else 'pull'}"

    @property
    def own(self) -> Transport:
        """The registry itself."""
        return self.transports[-1]

    def _able(self, capability: Capability) -> list[Transport]:
        """Whom to ask, the registry itself last."""
        others = [each for each in self.transports[:-1] if capability in each.endpoint.capabilities]
        return [*others, self.own]

    async def _first(self, ask: Callable[[Transport], Awaitable[T]], capability: Capability = "resolve") -> T:
        for transport in self._able(capability)[:-1]:
            try:
                return await ask(transport)
            except MobyError:
                continue
        return await ask(self.own)

    async def resolve(self, what: str) -> tuple[Descriptor, bytes]:
        """The manifest or index of a tag or digest, and where it is. Raises NotFound, Unauthorized."""

        async def ask(transport: Transport) -> tuple[Descriptor, bytes]:
            url = f"{transport.endpoint.api}{self._path}/manifests/{what}"
            attempts = 1 if transport.endpoint.mirror else None
            call = Call("GET", url, {"Accept": _ACCEPT}, self.scope, attempts=attempts)
            async with transport.send(call) as response:
                return await self._manifest(what, response)

        return await self._first(ask)

    async def _manifest(self, what: str, response: ClientResponse) -> tuple[Descriptor, bytes]:
        data = await read_answer(response, MANIFEST_LIMIT)
        announced = response.headers.get("Docker-Content-Digest", "")
        wanted = what if is_digest(what) else announced
        if wanted and not is_digest(wanted):
            raise InvalidParameter(f"the registry announced a digest that is none: {wanted[:100]!r}")
        found = _digest(data, wanted or "sha256:")
        if wanted and found != wanted:
            raise DataLoss(f"unexpected digest {found} of manifest, expected {wanted}")
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if media_type not in INDEX_TYPES | MANIFEST_TYPES:
            media_type = _announced_type(data) or media_type
        return Descriptor(media_type, found, len(data)), data

    async def referrers(self, digest: str) -> list[Descriptor]:
        """What refers to a manifest, of any kind; nothing where registries know of no such thing.

        Registries that do not keep them themselves have an index of them under a tag (OCI distribution spec).
        """

        async def ask(transport: Transport) -> list[Descriptor]:
            attempts = 1 if transport.endpoint.mirror else None
            for place in (f"referrers/{digest}", f"manifests/{digest.replace(':', '-')}"):
                url = f"{transport.endpoint.api}{self._path}/{place}"
                call = Call("GET", url, {"Accept": OCI_INDEX}, self.scope, attempts=attempts)
                try:
                    async with transport.send(call) as response:
                        data = await read_answer(response, MANIFEST_LIMIT)
                except NotFound:
                    continue
                return read_document(data, OCI_INDEX).manifests
            return []

        return await self._first(ask, "referrers")

    async def manifest_exists(self, what: str) -> str:
        """The digest of a tag or digest at the registry; empty if there is none."""
        url = f"{self.own.endpoint.api}{self._path}/manifests/{what}"
        try:
            async with self.own.send(Call("HEAD", url, {"Accept": _ACCEPT}, self.scope)) as response:
                return response.headers.get("Docker-Content-Digest", "") or what
        except NotFound:
            return ""

    async def blob_exists(self, digest: str) -> bool:
        """Is this blob in the repository?"""
        url = f"{self.own.endpoint.api}{self._path}/blobs/{digest}"
        try:
            async with self.own.send(Call("HEAD", url, {}, self.scope)):
                return True
        except NotFound:
            return False

    async def blob(self, descriptor: Descriptor, offset: int = 0) -> AsyncIterator[bytes]:
        """A blob in chunks, from `offset`; when the connection breaks, it goes on from where it stood.

        Size and digest are the reader's to verify; more than `descriptor.size` bytes are never given.
        """
        failures = 0
        while not 0 < descriptor.size <= offset:
            before = offset
            try:
                async for chunk in self._part(descriptor, offset):
                    offset += len(chunk)
                    yield chunk
                _check_end(descriptor, offset)
            except Unavailable:
                failures = 1 if offset > before else failures + 1
                if failures >= self.own.attempts:
                    raise
                await asyncio.sleep(self.own.pause(failures))
            else:
                break

    async def _part(self, descriptor: Descriptor, offset: int) -> AsyncIterator[bytes]:
        import aiohttp

        for transport in self._able("pull"):
            url = f"{transport.endpoint.api}{self._path}/blobs/{descriptor.digest}"
            headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"} if offset else {}
            attempts = 1 if transport.endpoint.mirror else None
            call = Call("GET", url, headers, self.scope, ok=(200, 206), attempts=attempts)
            position = offset
            try:
                async with transport.send(call) as response:
                    position = 0 if response.status == 200 else _range_start(response, offset)
                    async for chunk, _ in response.content.iter_chunks():
                        begin = max(0, offset - position)
                        position += len(chunk)
                        offset = max(offset, position)
                        if position > descriptor.size:
                            raise DataLoss(f"blob {descriptor.digest} is larger than {descriptor.size} bytes")
                        if begin < len(chunk):
                            yield chunk[begin:]
                if offset < descriptor.size and transport is not self.own:
                    log.info("mirror ended early", extra={"url": url})
                    continue
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                broken = isinstance(error, aiohttp.ClientPayloadError)
                words = "unexpected EOF" if broken else str(error) or type(error).__name__
                if transport is self.own:
                    raise Unavailable(f"failed to copy: blob {descriptor.digest}: {words}") from error
                log.info("mirror broke off", extra={"url": url, "error": words})
            except MobyError as error:
                if transport is self.own or isinstance(error, DataLoss):
                    raise
                log.info("mirror failed", extra={"url": url, "error": error.message})
            else:
                return

    async def tags(self) -> list[str]:
        """Every tag. Raises NotFound, Unauthorized."""
        return await self._first(self._tags)

    async def _tags(self, transport: Transport) -> list[str]:
        found: list[str] = []
        url: str = f"{transport.endpoint.api}{self._path}/tags/list"
        attempts = 1 if transport.endpoint.mirror else None
        while url and len(found) < TAGS_LIMIT:
            async with transport.send(Call("GET", url, {}, self.scope, attempts=attempts)) as response:
                data = await read_answer(response, MANIFEST_LIMIT)
                following = _NEXT.search(response.headers.get("Link", ""))
            try:
                found += msgspec.json.decode(data, type=_Tags).tags or []
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise System("the registry's list of tags cannot be read") from error
            url = transport.absolute(following[1]) if following else ""
        return found


def _check_end(descriptor: Descriptor, offset: int) -> None:
    if offset < descriptor.size:
        raise Unavailable(f"blob {descriptor.digest} ended at {offset} of {descriptor.size} bytes")


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _MediaType(msgspec.Struct, rename="camel"):
    media_type: str = ""


def _announced_type(data: bytes) -> str:
    try:
        return msgspec.json.decode(data, type=_MediaType).media_type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _digest(data: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def _range_start(response: ClientResponse, offset: int) -> int:
    text = response.headers.get("Content-Range", f"bytes {offset}-")
    start = text.removeprefix("bytes ").partition("-")[0]
    if not start.isdigit() or int(start) > offset:
        raise System(f"the registry answered with another range: {text[:100]!r}")
    return int(start)


async def read_answer(response: ClientResponse, limit: int) -> bytes:
    """All of an answer, of at most `limit` bytes. Raises InvalidParameter, Unavailable if it breaks off."""
    import aiohttp

    data = bytearray()
    try:
        async for chunk in response.content.iter_any():
            data += chunk
            if len(data) > limit:
                raise InvalidParameter(f"the registry's answer is larger than {limit} bytes")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable(f"the registry's answer broke off: {str(error) or type(error).__name__}") from error
    return bytes(data)
