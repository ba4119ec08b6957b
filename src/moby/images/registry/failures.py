"""This file is about what registries answer when they refuse, in our words."""

from __future__ import annotations

import msgspec

from moby.core.errors import (
    Conflict,
    Forbidden,
    MobyError,
    NotFound,
    NotImplemented,
    System,
    Unauthorized,
    Unavailable,
)

ANSWER_LIMIT = 64 << 10
_CODES: dict[str, type[MobyError]] = {
    "UNAUTHORIZED": Unauthorized,
    "DENIED": Forbidden,
    "UNSUPPORTED": NotImplemented,
    "UNAVAILABLE": Unavailable,
    "TOOMANYREQUESTS": Unavailable,
}
_STATUSES: dict[int, type[MobyError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: Unavailable,
}


class _Entry(msgspec.Struct):
    code: str = ""
    message: str | None = ""


class _Answer(msgspec.Struct):
    errors: list[_Entry] = msgspec.field(default_factory=list)


def refusal(method: str, url: str, status: int, reason: str, body: bytes) -> MobyError:
    """The error for an answer; the URL is told without its query, which may hold secrets."""
    plain = url.partition("?")[0]
    words = f"unexpected status from {method} request to {plain}: {status} {reason}".rstrip()
    kind = _STATUSES.get(status, Unavailable if status in (502, 503, 504) else System)
    try:
        entries = msgspec.json.decode(body, type=_Answer).errors
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        entries = []
    if entries:
        first = entries[0]
        message = first.message or first.code.lower()
        kind = _CODES.get(first.code, kind)
        words = f"error from registry: {message}"
        return kind(words, status=status, code=first.code)
    return kind(words, status=status)
