"""This file is about a request as handlers see it: its path taken apart, its query, its body."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import TypeVar
from urllib.parse import unquote_plus

import msgspec

from moby.api.authorization import Gate
from moby.api.bodies import body_parts
from moby.api.serving import BaseRequest, Response, StreamResponse
from moby.api.versions import Version
from moby.core.codec import decode
from moby.core.errors import InvalidParameter
from moby.core.filters import Filters
from moby.core.platform import Platform
from moby.core.types.requests import Takeover

T = TypeVar("T")

BODY_LIMIT = 16 << 20
_FALSE = frozenset({"", "0", "no", "false", "none"})
_INTEGER = re.compile(r"[+-]?[0-9]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}")
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETERS = re.compile(rf'(\s*;\s*{_WORD}=({_WORD}|"(\\.|[^"\\])*"))*\s*;?\s*')
_MEDIA_TYPE = re.compile(rf"{_WORD}(/{_WORD})?")


class Request:
    """One request. `name` is what stood for `{id}` or `{name}` in the path."""

    __slots__ = (
        "_query_text",
        "_values",
        "common",
        "gate",
        "http",
        "method",
        "name",
        "path",
        "started",
        "takeover",
        "version",
    )

    def __init__(self, http: BaseRequest, path: str, query: str, version: Version) -> None:
        self.http = http
        self.method = http.method
        self.path = path
        self.version = version
        self.name = ""
        self.started: StreamResponse | None = None
        self.takeover: Takeover | None = None
        self.common: Mapping[str, str] = {}
        self.gate: Gate | None = None
        self._query_text = query
        self._values: dict[str, list[str]] | None = None

    @property
    def values(self) -> dict[str, list[str]]:
        """The query by key. Raises InvalidParameter for what is no query."""
        if self._values is None:
            self._values = parse_query(self._query_text) if self._query_text else {}
        return self._values

    def text(self, key: str, default: str = "") -> str:
        """The first value of a key."""
        values = self.values.get(key)
        return values[0] if values else default

    def texts(self, key: str) -> list[str]:
        """Every value of a key."""
        return self.values.get(key, [])

    def flag(self, key: str, default: bool = False) -> bool:
        """A value as a truth: everything is true but nothing, `0`, `no`, `false` and `none`."""
        values = self.values.get(key)
        return default if values is None else values[0].strip().lower() not in _FALSE

    def integer(self, key: str) -> int | None:
        """A value as a number; None if there is none. Raises InvalidParameter in Go's words."""
        text = self.text(key)
        if not text:
            return None
        if not _INTEGER.fullmatch(text):
            raise InvalidParameter(f'strconv.Atoi: parsing "{text}": invalid syntax')
        if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
            raise InvalidParameter(f'strconv.Atoi: parsing "{text}": value out of range')
        return int(text)

    def size(self, key: str, what: str) -> int:
        """A value as a number of characters. Raises InvalidParameter, saying `what` it is."""
        text = self.text(key)
        if not _INTEGER.fullmatch(text) or text.startswith("+"):
            raise InvalidParameter(f'invalid resize {what} "{text}": invalid syntax')
        if len(text) > 10 or not 0 <= int(text) < 2**32:
            raise InvalidParameter(f'invalid resize {what} "{text}": value out of range')
        return int(text)

    def filters(self) -> Filters:
        """The `filters` parameter. Raises InvalidParameter."""
        return Filters.parse(self.text("filters"))

    def platforms(self, key: str, since: Version) -> list[Platform]:
        """Every value of a key as a platform in JSON, for clients of `since` and newer."""
        return [_platform(text) for text in self.texts(key) if text] if self.version >= since else []

    def platform(self, key: str, since: Version) -> Platform | None:
        """The first value of a key as a platform in JSON."""
        found = self.platforms(key, since)
        return found[0] if found else None

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        """The whole body. Raises InvalidParameter if it is longer than `limit` bytes."""
        parts: list[bytes] = []
        total = 0
        async for part in self.stream():
            total += len(part)
            if total > limit:
                raise InvalidParameter(f"request body is too large (the limit is {limit} bytes)")
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def body(self, kind: type[T]) -> T:
        """The body as a `kind`; without one, an empty one. Raises InvalidParameter."""
        if not self.check_body():
            return decode(b"{}", kind)
        return decode(await self.read(), kind)

    def check_body(self) -> bool:
        """Whether there is a body. Raises InvalidParameter for one that is not said to be JSON."""
        exists = self.http.headers.get("Content-Length", "").strip("0") != "" or self.http.body_exists
        content_type = self.http.headers.get("Content-Type", "")
        if content_type or exists:
            check_json(content_type)
        return exists

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in chunks, however long."""
        if self.gate is not None and self.gate.body:
            yield self.gate.body
        async for part in body_parts(self.http):
            yield part

    async def release(self, response: StreamResponse) -> None:
        """Have it decided whether the client may see this answer, before any of it is sent."""
        if self.gate is not None:
            body = response.body if isinstance(response, Response) else b""
            await self.gate.release(
                response.status, response.headers, body if isinstance(body, bytes) else b""
            )


def parse_query(text: str) -> dict[str, list[str]]:
    """A query string as Go's net/url takes it apart. Raises InvalidParameter in its words."""
    found: dict[str, list[str]] = {}
    for part in text.split("&"):
        if ";" in part:
            raise InvalidParameter("invalid semicolon separator in query")
        if not part:
            continue
        if bad := _BAD_ESCAPE.search(part):
            raise InvalidParameter(f'invalid URL escape "{bad[0]}"')
        key, _, value = part.partition("=")
        found.setdefault(unquote_plus(key), []).append(unquote_plus(value))
    return found


def check_json(content_type: str) -> None:
    """Raises InvalidParameter in dockerd's words for what is not JSON."""
    media_type, _, _ = content_type.partition(";")
    media_type = media_type.strip().lower()
    problem = ""
    if not media_type:
        problem = "mime: no media type"
    elif not _MEDIA_TYPE.fullmatch(media_type):
        problem = "mime: unexpected content after media subtype"
    elif not _PARAMETERS.fullmatch(content_type[len(content_type.partition(";")[0]) :]):
        problem = "mime: invalid media parameter"
    if problem:
        raise InvalidParameter(f"malformed Content-Type header ({content_type}): {problem}")
    if media_type != "application/json":
        raise InvalidParameter(
            f"unsupported Content-Type header ({content_type}): must be 'application/json'"
        )


class _Platform(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")


def _platform(text: str) -> Platform:
    try:
        found = msgspec.json.decode(text, type=_Platform)
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"failed to parse platform: {error}") from error
    if not found.os and not found.architecture and (found.variant or found.os_version):
        raise InvalidParameter("optional platform fields provided, but OS and Architecture are missing")
    if not found.os or not found.architecture:
        raise InvalidParameter("both OS and Architecture must be provided")
    return Platform(found.architecture, found.os, os_version=found.os_version, variant=found.variant)
