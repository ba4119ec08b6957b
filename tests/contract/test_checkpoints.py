"""This file is about checkpoints over HTTP, which the Engine API's definition is silent about."""

from __future__ import annotations

from aiohttp import ClientSession

from tests.contract.fakes import FakeEngine


async def test_one_is_made_listed_and_removed(client: ClientSession, engine: FakeEngine) -> None:
    for name in ("box", "b/o/x"):
        path = f"/containers/{name}/checkpoints"
        async with client.get(path) as answer:
            assert (answer.status, await answer.json()) == (200, [])
        body = {"CheckpointID": "one", "CheckpointDir": "/there", "Exit": True}
        async with client.post(path, json=body) as answer:
            assert (answer.status, await answer.read()) == (201, b"")
        assert engine.checkpoints.made["one"].exit
        async with client.get(path) as answer:
            assert await answer.json() == [{"Name": "one"}]
        async with client.delete(f"{path}/one?dir=/there") as answer:
            assert answer.status == 204
        async with client.delete(f"{path}/one") as answer:
            assert answer.status == 500
            assert (await answer.json())["message"] == f"checkpoint one does not exist for container {name}"


async def test_a_request_without_a_body_or_a_container_is_refused(client: ClientSession) -> None:
    async with client.post("/containers/box/checkpoints") as answer:
        assert answer.status == 400
    async with client.post("/containers/none/checkpoints", json={"CheckpointID": "one"}) as answer:
        assert answer.status == 404
    async with client.delete("/containers/none/checkpoints/one") as answer:
        assert answer.status == 404
    async with client.get("/containers/none/checkpoints") as answer:
        assert answer.status == 404


async def test_a_start_says_which(client: ClientSession, engine: FakeEngine) -> None:
    async with client.post("/containers/box/start?checkpoint=one&checkpoint-dir=/there") as answer:
        assert answer.status == 204
    assert engine.containers.done == [("start", "box", "one", "/there")]
