"""This file is about finding the operation that a path means, without trying one pattern after another.

A path is `/words`, `/words/{name}` or `/words/{name}/verb`; a name may have slashes in it (images do), so a
path is looked up whole first, then by its first and last words, then by its first.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import unquote

import msgspec

from moby.api.operations import SERVED, Operation
from moby.api.request import Request
from moby.api.serving import StreamResponse
from moby.api.versions import show
from moby.core import errors

_ANY = "*"

Handler = Callable[[Request], Awaitable[StreamResponse]]


class Route(msgspec.Struct, frozen=True):
    """A handler for an operation, by the operation's name.

    `finishes`: it runs on to its end when the client goes away; otherwise it is cancelled then. `partial`
    says what of the operation does not work yet.
    """

    operation: str
    handler: Handler
    finishes: bool = False
    partial: str = ""


class Table:
    """Every operation by its path; the ones without a route answer that they are not supported."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._whole: dict[tuple[str, str], Route] = {}
        self._verbs: dict[tuple[str, str, str], Route] = {}
        self._names: dict[tuple[str, str], Route] = {}
        self.routes = {route.operation: route for route in routes}
        for name, operation in SERVED.items():
            self._add(operation, self.routes.get(name) or Route(name, _unsupported(name)))

    def _add(self, operation: Operation, route: Route) -> None:
        first, brace, rest = operation.path.strip("/").partition("/{")
        verb = rest.partition("}")[2].strip("/")
        # What has a name of its own below what has one: `/containers/{id}/checkpoints/{checkpoint}`.
        if verb.endswith("}"):
            verb = verb.partition("{")[0] + _ANY
        if not brace:
            self._whole[operation.method, operation.path] = route
        elif verb:
            self._verbs[operation.method, first, verb] = route
        else:
            self._names[operation.method, first] = route

    def find(self, method: str, path: str) -> tuple[Route, str] | None:
        """The route, and what stands for the name in the path; None if nothing has this path."""
        if (route := self._whole.get((method, path))) is not None:
            return route, ""
        words = path.split("/")
        if len(words) < 3:
            return None
        first = words[1]
        if len(words) > 3:
            for verb, count in (
                (f"{words[-2]}/{words[-1]}", 2),
                (f"{words[-2]}/{_ANY}", 2),
                (words[-1], 1),
            ):
                if len(words) > 2 + count and (route := self._verbs.get((method, first, verb))) is not None:
                    return route, "/".join(words[2:-count])
        name = "/".join(words[2:])
        if not name:
            return (route, "") if (route := self._whole.get((method, f"/{first}"))) is not None else None
        if (route := self._names.get((method, first))) is not None:
            return route, name
        return None


def check_version(route: Route, request: Request) -> None:
    """Raises InvalidParameter if the client's version has no such operation yet."""
    operation = SERVED[route.operation]
    if request.version < operation.since:
        raise errors.InvalidParameter(
            f"{operation.method} {operation.path} requires minimum API version {show(operation.since)}"
        )


def _unsupported(name: str) -> Handler:
    async def handler(request: Request) -> StreamResponse:
        raise errors.NotImplemented(f"{name} ({request.method} {SERVED[name].path}) is not supported yet")

    return handler


@functools.lru_cache(maxsize=1024)
def split_target(target: str) -> tuple[str, str, str]:
    """A request's target as version (empty without one), path and query."""
    if not target.startswith("/"):
        _, _, target = target.partition("://")
        target = "/" + target.partition("/")[2]
    path, _, query = target.partition("?")
    if "%" in path:
        path = unquote(path)
    if path.startswith("/v") and path[2:3].isdigit():
        version, slash, rest = path[2:].partition("/")
        if slash and not version.strip("0123456789."):
            return version, "/" + rest, query
    return "", path, query


def clean(path: str) -> str:
    """The path without empty and dot segments, as Go's mux redirects to it."""
    words: list[str] = []
    for word in path.split("/"):
        if word == "..":
            del words[-1:]
        elif word not in ("", "."):
            words.append(word)
    return "/" + "/".join(words) + ("/" if path.endswith("/") and words else "")
