"""This file is about networks over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import empty_response, json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core import errors
from moby.core.filters import Filters
from moby.core.types.networks import (
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkDisconnectRequest,
    NetworkInspect,
    NetworkPruneResponse,
    NetworkSummary,
)


class Networks(Protocol):
    """What this module asks of an engine."""

    async def inspect(self, name: str, *, scope: str = "", verbose: bool = False) -> NetworkInspect:
        """By name, ID or unique beginning of an ID. Raises NotFound (`network NAME not found`)."""
        ...

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        """Raises InvalidParameter, Conflict, Forbidden, NotFound."""
        ...

    async def remove(self, name: str) -> None:
        """Raises NotFound, Forbidden."""
        ...

    async def prune(self, filters: Filters) -> NetworkPruneResponse:
        """Remove what nobody uses."""
        ...

    async def connect(self, name: str, request: NetworkConnectRequest) -> None:
        """Connect a container. Raises NotFound, Forbidden, Conflict."""
        ...

    async def disconnect(self, name: str, request: NetworkDisconnectRequest) -> None:
        """Disconnect a container. Raises NotFound, Forbidden, Conflict."""
        ...

    async def list(self, filters: Filters) -> Sequence[NetworkSummary]:
        """Every network that the filters let through. Raises InvalidParameter for an unknown filter."""
        ...


class NetworkRoutes:
    """The handlers."""

    def __init__(self, backend: Networks) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("NetworkList", self._list),
            Route("NetworkInspect", self._inspect),
            Route(
                "NetworkCreate",
                self._create,
                finishes=True,
                partial="no networks of a swarm",
            ),
            Route("NetworkDelete", self._remove, finishes=True),
            Route("NetworkPrune", self._prune, finishes=True),
            Route("NetworkConnect", self._connect, finishes=True),
            Route("NetworkDisconnect", self._disconnect, finishes=True),
        ]

    async def _create(self, request: Request) -> StreamResponse:
        wanted = await request.body(NetworkCreateRequest)
        if request.version < (1, 48):
            wanted.enable_ipv4 = None
        return json_response(await self._backend.create(wanted), 201)

    async def _remove(self, request: Request) -> StreamResponse:
        await self._backend.remove(request.name)
        return empty_response()

    async def _prune(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.prune(request.filters()))

    async def _connect(self, request: Request) -> StreamResponse:
        wanted = await request.body(NetworkConnectRequest)
        await self._backend.connect(request.name, wanted)
        return empty_response(200)

    async def _disconnect(self, request: Request) -> StreamResponse:
        wanted = await request.body(NetworkDisconnectRequest)
        await self._backend.disconnect(request.name, wanted)
        return empty_response(200)

    async def _list(self, request: Request) -> StreamResponse:
        found = await self._backend.list(request.filters())
        if request.version >= (1, 28):
            return json_response(found)
        whole = []
        for network in found:
            with suppress(errors.NotFound):  # It may have gone meanwhile.
                whole.append(await self._backend.inspect(network.id))
                whole[-1].status = None
        return json_response(whole)

    async def _inspect(self, request: Request) -> StreamResponse:
        text = request.text("verbose")
        if text not in ("", "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"):
            problem = f'strconv.ParseBool: parsing "{text}": invalid syntax'
            raise errors.InvalidParameter(f"invalid value for verbose: {text}: {problem}")
        verbose = text[:1] in ("1", "t", "T")
        answer = await self._backend.inspect(request.name, scope=request.text("scope"), verbose=verbose)
        if request.version < (1, 52):
            answer.status = None
        return json_response(answer)
