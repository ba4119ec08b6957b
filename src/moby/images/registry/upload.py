"""This file is about giving a registry what it has not: blobs and manifests."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Sequence
from enum import Enum
from urllib.parse import quote

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.errors import DataLoss, MobyError, NotFound, System, Unavailable
from moby.images.registry.client import Repository
from moby.images.registry.transport import Call

_MOUNTS = 4
# A server in front of a registry may take no more than some size at once, of those known 100 MB at least.
_PART = 32 << 20
_TOO_LARGE = 413


class Sent(Enum):
    """How a blob came to be at the registry."""

    EXISTED = "existed"
    MOUNTED = "mounted"
    PUSHED = "pushed"


async def push_blob(
    repository: Repository,
    descriptor: Descriptor,
    read: Callable[[], AsyncIterator[bytes]],
    *,
    mount_from: Sequence[str] = (),
) -> tuple[Sent, str]:
    """Make sure a blob is in the repository; `read` gives it from its beginning and may be called again.

    `mount_from` are other repositories that may have it at the same registry; the one that had is told.
    Raises what the registry says.
    """
    if await repository.blob_exists(descriptor.digest):
        return Sent.EXISTED, ""
    location: str | None = ""
    for source in mount_from[:_MOUNTS]:
        location = await _begin(repository, descriptor, source)
        if location is None:
            return Sent.MOUNTED, source
    location = location or await _begin(repository, descriptor, "")
    assert location is not None
    attempts, in_parts = repository.own.attempts, False
    for attempt in range(1, attempts + 1):
        try:
            await (_put_parts if in_parts else _put)(repository, descriptor, read, location)
        except MobyError as error:
            too_large = error.fields.get("status") == _TOO_LARGE and not in_parts
            if attempt == attempts or not (too_large or isinstance(error, Unavailable | NotFound)):
                raise
            if await repository.blob_exists(descriptor.digest):
                return Sent.PUSHED, ""
            # Who takes no more may also just end the connection.
            in_parts = too_large or (not in_parts and descriptor.size > _PART)
            location = await _begin(repository, descriptor, "") or location
        else:
            return Sent.PUSHED, ""
    raise AssertionError("unreachable")


async def _begin(repository: Repository, descriptor: Descriptor, mount_from: str) -> str | None:
    """Where to send a blob; None if it was mounted from another repository."""
    own = repository.own
    url = f"{own.endpoint.api}/{repository.reference.path}/blobs/uploads/"
    scope = repository.scope
    if mount_from:
        url += f"?mount={quote(descriptor.digest)}&from={quote(mount_from, safe='')}"
        scope += f" repository:{mount_from}:pull"
    call = Call("POST", url, {"Content-Length": "0"}, scope, ok=(201, 202))
    async with own.send(call) as response:
        if response.status == 201:
            return None
        location = response.headers.get("Location", "")
        if not location:
            raise System("the registry did not say where to send a blob")
        return own.absolute(location)


async def _put(
    repository: Repository, descriptor: Descriptor, read: Callable[[], AsyncIterator[bytes]], location: str
) -> None:
    url = f"{location}{'&' if '?' in location else '?'}digest={quote(descriptor.digest)}"
    call = Call(
        "PUT",
        url,
        {"Content-Type": "application/octet-stream"},
        repository.scope,
        body=read if descriptor.size else b"",
        body_size=descriptor.size,
        ok=(201, 204),
        attempts=1,
    )
    async with repository.own.send(call) as response:
        _check(response.headers.get("Docker-Content-Digest", ""), descriptor.digest)


async def _put_parts(
    repository: Repository, descriptor: Descriptor, read: Callable[[], AsyncIterator[bytes]], location: str
) -> None:
    """Send a blob in parts, each to where the answer to the one before says (distribution-spec, push)."""
    parts = _Parts(read())
    for begin in range(0, descriptor.size, _PART):
        size = min(_PART, descriptor.size - begin)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{begin}-{begin + size - 1}",
        }
        call = Call(
            "PATCH",
            location,
            headers,
            repository.scope,
            body=functools.partial(parts.next, size),
            body_size=size,
            ok=(201, 202, 204),
            attempts=1,
        )
        async with repository.own.send(call) as response:
            location = repository.own.absolute(response.headers.get("Location", location))
    await _put(repository, msgspec.structs.replace(descriptor, size=0), read, location)


class _Parts:
    """A stream in parts of given sizes."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    async def next(self, size: int) -> AsyncIterator[bytes]:
        """The next `size` bytes."""
        while size:
            chunk, self._rest = self._rest or await anext(self._chunks, b""), b""
            if not chunk:
                return
            yield chunk[:size]
            self._rest = chunk[size:]
            size -= min(size, len(chunk))


async def push_manifest(repository: Repository, descriptor: Descriptor, data: bytes, name: str) -> None:
    """Put a manifest or an index under a tag or its own digest."""
    own = repository.own
    url = f"{own.endpoint.api}/{repository.reference.path}/manifests/{name}"
    headers = {"Content-Type": descriptor.media_type}
    call = Call("PUT", url, headers, repository.scope, body=data, body_size=len(data), ok=(200, 201, 202))
    async with own.send(call) as response:
        _check(response.headers.get("Docker-Content-Digest", ""), descriptor.digest)


def _check(got: str, expected: str) -> None:
    if got and got != expected:
        raise DataLoss(f"got digest {got[:100]}, expected {expected}")
