"""This file is about searching a registry: the old index that Docker Hub still answers for."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from moby.core.errors import InvalidParameter, MobyError, System, Unavailable
from moby.core.types.images import ImageSearchResult
from moby.core.types.registries import AuthConfig
from moby.images.registry.client import Registries, read_answer
from moby.images.registry.transport import Call

HUB_INDEX = "index.docker.io"
_LIMIT, _MOST = 25, 100
_ANSWER = 4 << 20


class _Found(msgspec.Struct):
    results: list[ImageSearchResult] = msgspec.field(default_factory=list)


async def search(
    registries: Registries,
    term: str,
    limit: int,
    auth: AuthConfig | None = None,
    headers: Mapping[str, str] | None = None,
) -> list[ImageSearchResult]:
    """Repositories that fit a term. Raises InvalidParameter for a bad one, System."""
    if "://" in term:
        raise InvalidParameter(f"invalid repository name: repository name ({term}) should not have a scheme")
    limit = limit or _LIMIT
    if not 0 < limit <= _MOST:
        raise InvalidParameter(f"limit {limit} is outside the range of [1, {_MOST}]")
    host, what = _place(term)
    transport = registries.own(host, auth)
    url = f"{transport.endpoint.url}/v1/search?q={quote(what, safe='')}&n={limit}"
    try:
        async with transport.send(Call("GET", url, dict(headers or {}))) as response:
            data = await read_answer(response, _ANSWER)
    except MobyError as error:
        if status := error.fields.get("status"):
            raise System(f"unexpected status code {status}") from error
        if isinstance(error, Unavailable):
            raise System(error.message) from error  # 503 would be about this engine
        raise
    try:
        return msgspec.json.decode(data, type=_Found).results
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise System(f"error decoding registry search results: {error}") from error


def _place(term: str) -> tuple[str, str]:
    first, slash, rest = term.partition("/")
    if slash and (any(sign in first for sign in ".:") or first == "localhost"):
        if first in ("docker.io", HUB_INDEX):
            return HUB_INDEX, rest.removeprefix("library/")
        return first, rest
    return HUB_INDEX, term.removeprefix("library/")
