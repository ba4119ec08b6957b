"""This file is about the life of containers over HTTP: create, start, stop, list, inspect, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from moby.api import versions
from moby.api.request import Request
from moby.api.responses import empty_response, json_response
from moby.api.routes.container_versions import adapt_create
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core import errors
from moby.core.filters import Filters
from moby.core.platform import parse_platform
from moby.core.types.containers import (
    ContainerCreateRequest,
    ContainerCreateResponse,
    ContainerInspectResponse,
    ContainerPruneResponse,
    ContainerSummary,
    RemovedContainer,
)
from moby.core.types.requests import ListRequest


class Containers(Protocol):
    """What this module asks of an engine; `name` is a name, an ID or its unique beginning everywhere.

    Every method raises NotFound (`No such container: NAME`). What changes something goes on to its end
    when the client goes away.
    """

    async def create(
        self,
        name: str,
        request: ContainerCreateRequest,
        platform: str | None,
        *,
        shallow_read_only: bool = False,
    ) -> ContainerCreateResponse:
        """`shallow_read_only`: below a read-only bind what is mounted there can be written to.

        Raises NotFound (`No such image: NAME`), Conflict for a taken name, InvalidParameter.
        """
        ...

    async def start(self, name: str, checkpoint: str = "", checkpoint_dir: str = "") -> None:
        """Raises NotModified if it runs; for a checkpoint InvalidParameter, NotImplemented, System."""
        ...

    async def stop(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        """Raises NotModified if it does not run."""
        ...

    async def restart(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        """Stop if it runs, then start."""
        ...

    async def kill(self, name: str, signal_: str = "") -> None:
        """Raises Conflict if it does not run (`cannot kill container: NAME: ...`)."""
        ...

    async def pause(self, name: str) -> None:
        """Raises Conflict."""
        ...

    async def unpause(self, name: str) -> None:
        """Raises Conflict."""
        ...

    async def rename(self, name: str, new: str) -> None:
        """Raises InvalidParameter, Conflict."""
        ...

    async def remove(
        self, name: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Raises Conflict while it runs, unless forced."""
        ...

    async def inspect(self, name: str, *, size: bool = False) -> ContainerInspectResponse:
        """Everything about it; the answer is the caller's to change."""
        ...

    async def prune(self, filters: Filters) -> ContainerPruneResponse:
        """Remove every container that does not run."""
        ...

    async def removed(self, name: str) -> Sequence[RemovedContainer]:
        """Containers that were removed in the last hour, the newest first; never raises NotFound."""
        ...

    async def list(self, request: ListRequest) -> Sequence[ContainerSummary | msgspec.Raw]:
        """Newest first; summaries or fragments of JSON that were encoded before."""
        ...


class ContainerRoutes:
    """The handlers."""

    def __init__(self, backend: Containers) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("ContainerList", self._list),
            Route("ContainerCreate", self._create, finishes=True),
            Route("ContainerInspect", self._inspect),
            Route("ContainerStart", self._start, finishes=True),
            Route("ContainerStop", self._stop, finishes=True),
            Route("ContainerRestart", self._restart, finishes=True),
            Route("ContainerKill", self._kill, finishes=True),
            Route("ContainerRename", self._rename, finishes=True),
            Route("ContainerPause", self._pause, finishes=True),
            Route("ContainerUnpause", self._unpause, finishes=True),
            Route("ContainerDelete", self._remove, finishes=True),
            Route("ContainerPrune", self._prune, finishes=True),
            Route("ContainerHistory", self._removed),
        ]

    async def _list(self, request: Request) -> StreamResponse:
        found = await self._backend.list(
            ListRequest(
                all=request.flag("all"),
                limit=request.integer("limit") or 0,
                size=request.flag("size"),
                filters=request.filters(),
            )
        )
        return json_response(versions.container_list(found, request.version))

    async def _create(self, request: Request) -> StreamResponse:
        platform = request.text("platform") if request.version >= (1, 41) else ""
        if platform:
            parse_platform(platform)
        if not request.check_body():
            raise errors.InvalidParameter("invalid JSON: EOF")
        wanted = await request.body(ContainerCreateRequest)
        _check_configured(wanted)
        warnings = adapt_create(wanted, request.version)
        answer = await self._backend.create(
            request.text("name"), wanted, platform or None, shallow_read_only=request.version < (1, 44)
        )
        answer.warnings = [*(answer.warnings or ()), *warnings]
        return json_response(answer, 201)

    async def _inspect(self, request: Request) -> StreamResponse:
        answer = await self._backend.inspect(request.name, size=request.flag("size"))
        return json_response(versions.container_inspect(answer, request.version))

    async def _start(self, request: Request) -> StreamResponse:
        length = request.http.headers.get("Content-Length", "")
        if "Transfer-Encoding" in request.http.headers or (length.isdigit() and int(length[:9]) > 7):
            raise errors.InvalidParameter(
                "starting container with non-empty request body was deprecated since API v1.22 "
                "and removed in v1.24"
            )
        await self._backend.start(request.name, request.text("checkpoint"), request.text("checkpoint-dir"))
        return empty_response()

    async def _stop(self, request: Request) -> StreamResponse:
        signal = request.text("signal") if request.version >= (1, 42) else ""
        await self._backend.stop(request.name, signal_=signal, timeout_s=request.integer("t"))
        return empty_response()

    async def _restart(self, request: Request) -> StreamResponse:
        signal = request.text("signal") if request.version >= (1, 42) else ""
        await self._backend.restart(request.name, signal_=signal, timeout_s=request.integer("t"))
        return empty_response()

    async def _kill(self, request: Request) -> StreamResponse:
        await self._backend.kill(request.name, request.text("signal"))
        return empty_response()

    async def _rename(self, request: Request) -> StreamResponse:
        await self._backend.rename(request.name, request.text("name"))
        return empty_response()

    async def _pause(self, request: Request) -> StreamResponse:
        await self._backend.pause(request.name)
        return empty_response()

    async def _unpause(self, request: Request) -> StreamResponse:
        await self._backend.unpause(request.name)
        return empty_response()

    async def _remove(self, request: Request) -> StreamResponse:
        await self._backend.remove(
            request.name, force=request.flag("force"), volumes=request.flag("v"), link=request.flag("link")
        )
        return empty_response()

    async def _removed(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.removed(request.text("name")))

    async def _prune(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.prune(request.filters()))


def _check_configured(wanted: ContainerCreateRequest) -> None:
    """Raises InvalidParameter if nothing is said about the container itself."""
    bare = msgspec.structs.replace(wanted, host_config=None, networking_config=None)
    if bare == ContainerCreateRequest(host_config=None, networking_config=None):
        raise errors.InvalidParameter("config cannot be empty in order to create a container")
