"""This file is about serving: listening sockets, and a request's way to its handler and back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import Coroutine, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from moby.api import versions
from moby.api.authorization import Gate
from moby.api.bodies import unknown_expectation, waits
from moby.api.connection import Connection, Connections
from moby.api.hijack import take_over
from moby.api.pings import Pings
from moby.api.refusals import refusal
from moby.api.request import Request
from moby.api.responses import empty_response, error_response
from moby.api.routing import Route, Table, check_version, clean, split_target
from moby.api.serving import BaseRequest, RequestPayloadError, Response, StreamResponse
from moby.api.status import status_of
from moby.api.tls import TlsFront
from moby.core.authorization import Authorizer
from moby.core.errors import MobyError

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_LIMIT_S = 5.0
_LINE_LIMIT = 1 << 20


class Server:
    """Serves the Engine API on any number of sockets.

    Life: inside `async with`, `listen` may be called at once; requests wait until `serve` gives the routes,
    so that no client is refused while the engine starts. At the end the listeners are closed, what is under
    way gets `close_limit_s` to end, then it is cancelled.
    """

    def __init__(
        self, version: str, *, experimental: bool = False, close_limit_s: float = CLOSE_LIMIT_S
    ) -> None:
        self._close_limit_s = close_limit_s
        self._common: Mapping[str, str] = {
            "Api-Version": versions.show(versions.MAXIMUM),
            "Docker-Experimental": str(experimental).lower(),
            "Ostype": "linux",
            "Server": f"Docker/{version} (linux)",
        }
        self._table: Table | None = None
        self._authorizer: Authorizer | None = None
        self._ready = asyncio.Event()
        self._listeners: list[asyncio.Server] = []
        self._stack = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._accepting: list[asyncio.Task[None]] = []
        self._fronts: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._http = Connections(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            logger=log,
            auto_decompress=False,
            lingering_time=1.0,
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.close()
        for accepting in self._accepting:
            accepting.cancel()
        self._http.pre_shutdown()
        if self._tasks and kind is None:
            await asyncio.wait(self._tasks, timeout=self._close_limit_s)
        await self._http.shutdown(0.1)
        for task in (*self._tasks, *self._fronts):
            task.cancel()
        await self._stack.aclose()

    def serve(self, routes: Iterable[Route], authorizer: Authorizer | None = None) -> None:
        """Begin to answer; requests that came before are answered now. `authorizer` is asked about each."""
        self._table = Table(routes)
        self._authorizer = authorizer
        self._http.pings = Pings(self._common, lambda: authorizer is not None and authorizer.required)
        self._ready.set()

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections on a bound socket, which is the server's from now on."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        if tls is not None:
            self._accepting.append(self._group.create_task(self._accept_tls(listener, tls)))
            return
        if listener.family == socket.AF_UNIX:
            # From 3.13 on the path would be removed at the end; whoever bound the socket decides that.
            options: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
            server = await loop.create_unix_server(self._http, sock=listener, backlog=1024, **options)
        else:
            server = await loop.create_server(self._http, sock=listener, backlog=1024)
        self._listeners.append(server)

    async def _accept_tls(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            listener.listen(1024)
            while True:
                try:
                    client, _ = await loop.sock_accept(listener)
                except OSError as error:
                    log.warning("cannot accept a client", extra={"error": str(error)})
                    await asyncio.sleep(0.1)
                    continue
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ours, theirs = socket.socketpair()
                ours.setblocking(False)
                theirs.setblocking(False)
                _, connection = await loop.connect_accepted_socket(self._http, sock=theirs)
                assert isinstance(connection, Connection)
                connection.peer = TlsFront(client, ours, context)
                front = self._group.create_task(connection.peer.run())
                self._fronts.add(front)
                front.add_done_callback(self._fronts.discard)

    async def _handle(self, http: BaseRequest) -> StreamResponse:
        """One request, from aiohttp and back; raises nothing but cancellation."""
        if self._table is None:
            await self._ready.wait()
        refused = refusal(http)
        version, path, query = split_target(http.raw_path)
        if refused is not None:
            response: StreamResponse = refused
        elif "//" in path or ("/." in path and clean(path) != path):
            response = self._redirect(version, path, query)
        elif unknown_expectation(http):
            response = empty_response(417)
            response.force_close()
        elif http.method == "OPTIONS":
            response = empty_response(200)
        else:
            response = await self._answer(http, version, path, query)
        if isinstance(http.protocol, Connection) and http.protocol.early is not None:
            # What comes after a refused upgrade has not been read, and is not to be taken for a request.
            response.force_close()
        if waits(http):
            response.force_close()
        if not response.prepared and "Api-Version" not in response.headers:
            response.headers.update(self._common)
        return response

    def _redirect(self, version: str, path: str, query: str) -> StreamResponse:
        target = clean(f"/v{version}{path}" if version else path) + (f"?{query}" if query else "")
        response = empty_response(301)
        response.headers["Location"] = target.replace("\r", "%0D").replace("\n", "%0A")
        return response

    async def _answer(self, http: BaseRequest, version: str, path: str, query: str) -> StreamResponse:
        assert self._table is not None
        found = self._table.find(http.method, path)
        if found is None:
            return error_response("page not found", 404)
        route, name = found
        gate = None
        if self._authorizer is not None and self._authorizer.required:
            gate = Gate(self._authorizer, http, path)
            try:
                await gate.admit()
            except MobyError as error:
                log.info("request not allowed", extra={"uri": http.raw_path, "error": error.message})
                return error_response(error.message, status_of(error))
            except (ConnectionError, RequestPayloadError):
                return error_response("the client has gone", 400)
        try:
            spoken = versions.negotiate(version) if version else versions.MAXIMUM
        except MobyError as error:
            if versions.parse(version) < versions.MINIMUM:
                # So old a client shows JSON as it is; dockerd sends it text.
                return Response(status=400, text=f"{error.message}\n")
            return error_response(error.message, 400)
        request = Request(http, path, query, spoken)
        request.name = name
        request.common = self._common
        request.gate = gate
        if not route.finishes:
            return await self._run(route, request)
        request.takeover = partial(self._take_over, request)
        return await asyncio.shield(self._spawn(self._run(route, request)))

    async def _take_over(self, request: Request, multiplexed: bool) -> socket.socket:
        typed = request.version >= (1, 42)
        if request.gate is not None:
            await request.gate.release(101 if "Upgrade" in request.http.headers else 200, {})
        return await take_over(request.http, self._spawn, multiplexed=multiplexed, typed=typed)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, route: Route, request: Request) -> StreamResponse:
        """The handler's answer, or the error as one."""
        try:
            check_version(route, request)
            response = await route.handler(request)
            if request.started is None:
                await request.release(response)
        except MobyError as error:
            status = status_of(error)
            if status >= 500 and status != 501:
                log.exception(
                    "request failed",
                    extra={"operation": route.operation, "error": error.message, "hint": error.hint},
                )
            answer = error_response(error.message, status)
        except (ConnectionError, RequestPayloadError) as error:
            log.debug("client went away", extra={"operation": route.operation, "error": str(error)})
            answer = error_response("the client has gone", 400)
        except Exception as error:
            log.exception("request failed", extra={"operation": route.operation})
            answer = error_response(f"{type(error).__name__}: {error}", 500)
        else:
            return response
        if request.started is not None:
            # The head has been sent: the only way to tell the client is to cut it off.
            if request.http.transport is not None:
                request.http.transport.close()
            return request.started
        if request.gate is not None:
            await request.gate.release_refusal(answer)
        return answer
