"""This file is about who may do what: somebody is asked about every request, and about the answer to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """A request as it came. `body` is that of a JSON request, `certificates` the client's own, in PEM.

    Without a certificate nobody knows the `user`.
    """

    method: str
    uri: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    user: str = ""
    certificates: Sequence[str] = ()


class Answered(msgspec.Struct, frozen=True):
    """The answer to a request, before the client gets any of it; what is streamed has no `body` yet."""

    status: int
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


class Authorizer(Protocol):
    """Says who may do what.

    Life: a request is asked about before anything is done for it, its answer before any of it is sent; for
    one that streams, or takes the connection over, that is before the stream begins. What cannot be decided
    is not allowed.
    """

    @property
    def required(self) -> bool:
        """Is anybody to be asked?"""
        ...

    async def request(self, asked: Asked) -> None:
        """Raises Forbidden (`authorization denied by plugin NAME: WHY`), System for who cannot decide."""
        ...

    async def response(self, asked: Asked, answered: Answered) -> None:
        """Raises as `request`."""
        ...
