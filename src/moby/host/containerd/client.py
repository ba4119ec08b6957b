"""This file is about the connection to containerd: one channel, a namespace, a lease for what is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any, Self

import grpc
from google.protobuf.empty_pb2 import Empty

from moby.core.errors import Conflict, Unavailable
from moby.host.containerd.errors import is_held, translation
from moby.host.containerd.protos import namespaces_pb2, version_pb2

CALL_LIMIT_S = 10.0
_MESSAGE_LIMIT = 16 << 20
_READY = grpc.ChannelConnectivity.READY

current_lease: ContextVar[str] = ContextVar("containerd_lease", default="")


class Containerd:
    """Calls containerd's services by their full method names.

    Life: entering connects (without waiting for an answer) and leaving closes; a containerd that goes away
    and comes back is found again by the channel, and calls made meanwhile wait for it. Every call carries the
    namespace, and the lease that the calling task holds. Errors leave as ours; a call that takes longer than
    its limit, and any call while nothing has listened for `CALL_LIMIT_S`, raises Unavailable.
    """

    def __init__(self, address: str, namespace: str = "moby") -> None:
        self.address = address.removeprefix("unix://")
        self.namespace = namespace
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[str, Any] = {}
        self.leases: set[str] = set()

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(
            f"unix://{self.address}",
            options=[
                ("grpc.default_authority", "localhost"),
                ("grpc.max_send_message_length", _MESSAGE_LIMIT),
                ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
                ("grpc.initial_reconnect_backoff_ms", 20),
                ("grpc.min_reconnect_backoff_ms", 20),
                ("grpc.max_reconnect_backoff_ms", 500),
            ],
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        channel, self._channel = self._channel, None
        self._methods.clear()
        if channel is not None:
            await channel.close()

    async def call(
        self,
        method: str,
        request: Any,
        answer: Any = Empty,
        *,
        limit_s: float | None = CALL_LIMIT_S,
        repeatable: bool = False,
    ) -> Any:
        """One request, one answer of the message class `answer`; no `limit_s` for work of unknown length.

        What is `repeatable` (it only looks) is asked again if the connection breaks under it.
        """
        with translation():
            try:
                return await self._once(method, request, answer, limit_s)
            except grpc.aio.AioRpcError as error:
                if not repeatable or error.code() is not grpc.StatusCode.UNAVAILABLE or is_held(error):
                    raise
            return await self._once(method, request, answer, limit_s)

    async def look(self, method: str, request: Any, answer: Any) -> Any:
        """A `call` that changes nothing."""
        return await self.call(method, request, answer, repeatable=True)

    async def _once(self, method: str, request: Any, answer: Any, limit_s: float | None) -> Any:
        if limit_s is None:
            await self.connected()
        return await self._method(method, "unary_unary", answer)(
            request, metadata=self._metadata(), timeout=limit_s, wait_for_ready=limit_s is not None
        )

    async def connected(self, *, limit_s: float = CALL_LIMIT_S) -> None:
        """Returns when there is a connection. Raises Unavailable if there is none within `limit_s`."""
        assert self._channel is not None, "used outside its context"
        try:
            async with asyncio.timeout(limit_s):
                while (state := self._channel.get_state(try_to_connect=True)) is not _READY:
                    await self._channel.wait_for_state_change(state)
        except TimeoutError as error:
            raise Unavailable(f"cannot connect to containerd at {self.address}") from error

    async def stream(self, method: str, request: Any, answer: Any) -> Any:
        """One request, a stream of answers; the caller translates errors and cancels it."""
        await self.connected()
        return self._method(method, "unary_stream", answer)(request, metadata=self._metadata())

    async def exchange(self, method: str, answer: Any, *, leased: bool = True) -> Any:
        """A stream each way, to be written and read by hand."""
        await self.connected()
        metadata = self._metadata() if leased else (self._namespace(),)
        return self._method(method, "stream_stream", answer)(metadata=metadata)

    def _method(self, method: str, shape: str, answer: Any) -> Callable[..., Any]:
        found = self._methods.get(method)
        if found is None:
            assert self._channel is not None, "used outside its context"
            found = self._methods[method] = getattr(self._channel, shape)(
                f"/containerd.services.{method}",
                request_serializer=_serialize,
                response_deserializer=answer.FromString,
            )
        return found  # type: ignore[no-any-return]

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        lease = current_lease.get()
        namespace = self._namespace()
        # A task that outlived the block whose lease it inherited goes on without one.
        return (namespace, ("containerd-lease", lease)) if lease in self.leases else (namespace,)

    def _namespace(self) -> tuple[str, str]:
        return "containerd-namespace", self.namespace

    async def version(self, *, limit_s: float | None = CALL_LIMIT_S) -> tuple[str, str]:
        """Version and revision of the containerd that answers."""
        found = await self.call(
            "version.v1.Version/Version", Empty(), version_pb2.VersionResponse, limit_s=limit_s
        )
        return found.version, found.revision

    async def ensure_namespace(self) -> None:
        """Make our namespace if it is not there."""
        request = namespaces_pb2.CreateNamespaceRequest(
            namespace=namespaces_pb2.Namespace(name=self.namespace)
        )
        try:
            await self.call("namespaces.v1.Namespaces/Create", request)
        except Conflict:
            return

    async def read_stream(self, method: str, request: Any, answer: Any) -> AsyncIterator[Any]:
        """A stream of answers with our errors, cancelled when the reader goes away."""
        call = await self.stream(method, request, answer)
        try:
            with translation():
                async for message in call:
                    yield message
        finally:
            call.cancel()


def _serialize(message: Any) -> bytes:
    return message.SerializeToString()  # type: ignore[no-any-return]
