"""An exec service that has one instance, `made`, in the container `box`."""

from __future__ import annotations

import asyncio

from moby.core.errors import no_such
from moby.core.types.execs import ExecCreateRequest, ExecInspectResponse, ExecProcess, ExecStartRequest
from moby.core.types.requests import Takeover


def _known(name: str) -> None:
    if name != "made":
        raise no_such("exec instance", name)


class FakeExecs:
    """Echoes what it is sent."""

    def __init__(self) -> None:
        self.created: ExecCreateRequest | None = None
        self.started: ExecStartRequest | None = None

    async def create(self, name: str, request: ExecCreateRequest) -> str:
        if name != "box":
            raise no_such("container", name)
        self.created = request
        return "made"

    async def start(self, name: str, request: ExecStartRequest, takeover: Takeover) -> None:
        _known(name)
        self.started = request
        if request.detach:
            return
        loop = asyncio.get_running_loop()
        with await takeover(not request.tty) as connection:
            while data := await loop.sock_recv(connection, 65536):
                await loop.sock_sendall(connection, data.upper())

    async def resize(self, name: str, *, height: int, width: int) -> None:
        _known(name)

    async def inspect(self, name: str) -> ExecInspectResponse:
        _known(name)
        return ExecInspectResponse(id=name, exit_code=3, process_config=ExecProcess(entrypoint="sh"))
