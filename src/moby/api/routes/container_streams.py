"""This file is about what flows to and from containers over HTTP: waits, logs, attachments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from moby.core.types.containers import ContainerWaitResponse
from moby.core.types.requests import AttachRequest, LogsRequest, Takeover


class Waiting(Protocol):
    """One wait, registered when it is made: nothing that happens before `result()` is missed."""

    async def result(self) -> ContainerWaitResponse:
        """The exit code, once the condition is met; cancelled when the client goes away."""
        ...


class ContainerStreams(Protocol):
    """What this module asks of an engine. Every method raises NotFound (`No such container: NAME`)."""

    async def wait(self, name: str, condition: str) -> Waiting:
        """Begin to wait; `condition` is `not-running`, `next-exit` or `removed`."""
        ...

    async def logs(self, name: str, request: LogsRequest) -> tuple[bool, AsyncIterator[bytes]]:
        """Whether it has a terminal, and the log in chunks, framed if it has none."""
        ...

    async def attach(self, name: str, request: AttachRequest, takeover: Takeover) -> None:
        """Raises Conflict or InvalidParameter before calling `takeover`; returns when the stream ended."""
        ...

    async def resize(self, name: str, *, height: int, width: int) -> None:
        """Set the terminal's size in characters. Raises Conflict if it does not run."""
        ...
