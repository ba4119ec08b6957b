"""Attaching over a websocket, as a page in a browser does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientWebSocketResponse, UnixConnector, WSMsgType

from tests.clients.engine import Engine

LIMIT_S = 30.0
EVERYTHING = "stream=1&stdin=1&stdout=1&stderr=1"


@asynccontextmanager
async def attached(
    engine: Engine, name: str, query: str = EVERYTHING
) -> AsyncIterator[ClientWebSocketResponse]:
    """A websocket that is attached to a container."""
    async with (
        asyncio.timeout(LIMIT_S),
        ClientSession("http://engine", connector=UnixConnector(str(engine.socket))) as session,
        session.ws_connect(f"/v1.47/containers/{name}/attach/ws?{query}") as websocket,
    ):
        yield websocket


async def said(websocket: ClientWebSocketResponse) -> bytes:
    """Everything up to the end."""
    found = b""
    async for message in websocket:
        assert message.type is WSMsgType.BINARY
        found += message.data
    return found


async def test_a_container_is_typed_into_and_read_from(engine: Engine) -> None:
    engine.ok("create", "-i", "--name", "talk", "busybox", "sh", "-c", "read x; echo got $x; echo bad >&2")
    async with attached(engine, "talk") as websocket:
        await asyncio.to_thread(engine.ok, "start", "talk")
        await websocket.send_str("wo")
        await websocket.send_bytes(b"rds\n")
        assert sorted((await said(websocket)).splitlines()) == [b"bad", b"got words"]


async def test_the_log_comes_first_and_is_not_framed(engine: Engine) -> None:
    engine.ok("run", "--name", "done", "busybox", "sh", "-c", "echo one; echo two")
    async with attached(engine, "done", "logs=1&stdout=1") as websocket:
        assert await said(websocket) == b"one\ntwo\n"


async def test_detaching_leaves_it_running(engine: Engine) -> None:
    engine.ok("run", "-dit", "--name", "shell", "busybox", "sh")
    async with attached(engine, "shell") as websocket:
        await websocket.send_bytes(b"echo $((40+2))\n")
        found = b""
        while b"42" not in found:
            found += await websocket.receive_bytes()
        await websocket.send_bytes(b"\x10\x11")
        await said(websocket)
    assert engine.ok("inspect", "-f", "{{.State.Running}}", "shell") == "true"
    async with attached(engine, "shell") as websocket:
        await websocket.close()
    assert engine.ok("inspect", "-f", "{{.State.Running}}", "shell") == "true"
