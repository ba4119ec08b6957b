"""This file is about attaching over a websocket: the handshake, messages of both kinds, and either side's end."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession, WSMsgType

from tests.contract.fakes import FakeEngine

LIMIT_S = 5.0


@pytest.mark.parametrize(
    ("version", "kind"),
    [("1.55", WSMsgType.BINARY), ("1.28", WSMsgType.BINARY), ("1.27", WSMsgType.TEXT)],
)
async def test_what_is_typed_and_what_is_said(client: ClientSession, version: str, kind: WSMsgType) -> None:
    async with asyncio.timeout(LIMIT_S), client.ws_connect(f"/v{version}/containers/box/attach/ws") as ws:
        await ws.send_str("text ")
        await ws.send_bytes(b"bytes")
        said = b""
        while len(said) < len("TEXT BYTES"):
            message = await ws.receive()
            assert message.type is kind
            said += message.data if kind is WSMsgType.BINARY else message.data.encode()
        assert said == b"TEXT BYTES"


async def test_streams_are_chosen_from_1_42_on(client: ClientSession, engine: FakeEngine) -> None:
    for version, chosen in (("1.41", True), ("1.42", False)):
        async with client.ws_connect(f"/v{version}/containers/box/attach/ws?stdout=1&stream=1&detachKeys=a"):
            pass
        asked = engine.streams.attach_request
        assert asked is not None
        assert (asked.stdin, asked.stdout, asked.stderr, asked.stream) == (chosen, True, chosen, True)
        assert (asked.detach_keys, asked.multiplexed) == ("a", False)


async def test_client_goes_away(client: ClientSession, engine: FakeEngine) -> None:
    ws = await client.ws_connect("/containers/box/attach/ws?stdin=1")
    await ws.close()
    async with asyncio.timeout(LIMIT_S):
        await engine.streams.closed.wait()


async def test_attachment_ends(client: ClientSession, engine: FakeEngine) -> None:
    engine.streams.attach_ends = True
    async with asyncio.timeout(LIMIT_S), client.ws_connect("/containers/box/attach/ws") as ws:
        assert (await ws.receive()).data == b"BYE"
        assert (await ws.receive()).type is WSMsgType.CLOSE


async def test_refusals_come_before_the_handshake(client: ClientSession) -> None:
    async with client.get("/containers/box/attach/ws") as answer:
        assert answer.status == 400
        assert await answer.json() == {"message": "the request asks for no websocket"}
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    async with client.get("/containers/none/attach/ws", headers=upgrade) as answer:
        assert answer.status == 404
        assert await answer.json() == {"message": "No such container: none"}
