"""This file is about an archive that lies somewhere on the web, for those who import it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from moby.core.errors import (
    Forbidden,
    InvalidParameter,
    MobyError,
    NotFound,
    System,
    Unauthorized,
    Unavailable,
)
from moby.images.registry.client import Registries
from moby.images.registry.transport import failure_words

_KINDS: dict[int, type[MobyError]] = {400: InvalidParameter, 401: Unauthorized, 403: Forbidden, 404: NotFound}
_CHUNK = 1 << 18


class Download:
    """The archive at a URL (`http://` if it has no scheme): begin, then read `chunks` to their end.

    Raises InvalidParameter for what is no URL, Unavailable if nobody answers, and what the other side says.
    """

    def __init__(self, registries: Registries, url: str) -> None:
        self._registries = registries
        self.url = url if "://" in url else f"http://{url}"
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "%" in parts.netloc:
            raise InvalidParameter(f"invalid URL: {url!r}")

    async def chunks(self, told: Callable[[int, int], None]) -> AsyncIterator[bytes]:
        """The archive as it comes; `told` hears how far it is, first of all 0, and of how much."""
        import aiohttp

        position = 0
        try:
            async with self._registries.get(self.url) as response:
                if response.status >= 400:
                    kind = _KINDS.get(response.status, System)
                    words = (await response.content.read(1 << 10)).decode(errors="replace").strip()
                    raise kind(
                        f"failed to GET {self.url} with status {response.status} {response.reason}: {words}"
                    )
                told(0, response.content_length or 0)
                async for chunk in response.content.iter_chunked(_CHUNK):
                    position += len(chunk)
                    yield chunk
                    told(position, response.content_length or 0)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = failure_words(urlsplit(self.url), error)
            raise Unavailable(f"failed to GET {self.url}: {words}") from error
