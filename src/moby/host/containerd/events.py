"""This file is about what containerd tells of tasks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage

from moby.core.errors import Unavailable
from moby.core.runtime import Exited, Frozen, OutOfMemory
from moby.host.containerd.client import Containerd
from moby.host.containerd.errors import translation
from moby.host.containerd.images import moment
from moby.host.containerd.protos import events_pb2, subscribe_pb2, types_pb2

_SERVICE = "events.v1.Events"
_EXIT, _OOM, _MARK = "/tasks/exit", "/tasks/oom", "/moby/subscribed"
_PAUSED, _RESUMED = "/tasks/paused", "/tasks/resumed"
_TOPICS = (_EXIT, _OOM, _PAUSED, _RESUMED, _MARK)
_ANSWER_LIMIT_S = 10.0

TaskHappening = Exited | OutOfMemory | Frozen


class ContainerdEvents:
    """Ends of tasks, kills for memory, and pauses, in our namespace."""

    def __init__(self, client: Containerd) -> None:
        self._client = client

    async def subscribe(self) -> AsyncIterator[TaskHappening]:
        """Events until the connection breaks; everything that happens after this returned is among them.

        containerd does not say when it has added a subscriber, so that an event of our own is published
        until it comes back. Raises Unavailable if it does not.
        """
        namespace = f"namespace=={self._client.namespace}"
        filters = [f'{namespace},topic=="{topic}"' for topic in _TOPICS]
        request = subscribe_pb2.SubscribeRequest(filters=filters)
        call = await self._client.stream(f"{_SERVICE}/Subscribe", request, types_pb2.Envelope)
        try:
            with translation():
                early = await self._confirmed(call)
        except BaseException:
            call.cancel()
            raise
        return _events(call, early)

    async def _confirmed(self, call: Any) -> list[types_pb2.Envelope]:
        """Returns when our own event came back, with the events that came before it."""
        mark = os.urandom(8).hex()
        early: list[types_pb2.Envelope] = []
        reading = asyncio.ensure_future(call.read())
        try:
            async with asyncio.timeout(_ANSWER_LIMIT_S):
                while True:
                    await self._publish(mark)
                    while (await asyncio.wait({reading}, timeout=0.05))[0]:
                        envelope = reading.result()
                        if envelope is grpc.aio.EOF:
                            raise Unavailable("containerd ended the stream of events")
                        if envelope.topic == _MARK and envelope.event.value == mark.encode():
                            return early
                        early.append(envelope)
                        reading = asyncio.ensure_future(call.read())
        except TimeoutError as error:
            raise Unavailable("containerd does not send events") from error
        finally:
            reading.cancel()

    async def _publish(self, mark: str) -> None:
        event = AnyMessage(type_url="moby.Mark", value=mark.encode())
        await self._client.call(
            f"{_SERVICE}/Publish", subscribe_pb2.PublishRequest(topic=_MARK, event=event), limit_s=2.0
        )


async def _events(call: Any, early: Iterable[types_pb2.Envelope]) -> AsyncIterator[TaskHappening]:
    try:
        for envelope in early:
            if (event := decoded(envelope)) is not None:
                yield event
        with translation():
            while (envelope := await call.read()) is not grpc.aio.EOF:
                if (event := decoded(envelope)) is not None:
                    yield event
    finally:
        call.cancel()


def decoded(envelope: types_pb2.Envelope) -> TaskHappening | None:
    """An event in our words."""
    if envelope.topic == _OOM:
        return OutOfMemory(events_pb2.TaskOOM.FromString(envelope.event.value).container_id)
    if envelope.topic == _PAUSED:
        return Frozen(events_pb2.TaskPaused.FromString(envelope.event.value).container_id, True)
    if envelope.topic == _RESUMED:
        return Frozen(events_pb2.TaskResumed.FromString(envelope.event.value).container_id, False)
    if envelope.topic != _EXIT:
        return None
    event = events_pb2.TaskExit.FromString(envelope.event.value)
    exited_at = moment(event.exited_at) or datetime.now(UTC)
    process = "" if event.id == event.container_id else event.id
    return Exited(event.container_id, event.pid, event.exit_status, exited_at, process)
