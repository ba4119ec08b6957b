"""Many who want opposite things of the same volumes at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from docker import DockerClient
from docker.errors import APIError

from tests.clients.engine import Engine

CROWD = 12


def at_once(engine: Engine, one: Callable[[DockerClient, int], object]) -> list[object]:
    """What each of a crowd gets, with a client of its own; APIErrors are answers too."""

    def turn(number: int) -> object:
        with engine.client() as client:
            try:
                return one(client, number)
            except APIError as error:
                return error

    with ThreadPoolExecutor(CROWD) as pool:
        return list(pool.map(turn, range(CROWD)))


def test_who_comes_at_once_gets_the_one_volume_there_is(engine: Engine) -> None:
    since = str(time.time())

    def create(client: DockerClient, number: int) -> str:
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={number + 1}m"}
        made = client.api.create_volume("same", "local", options, {"number": str(number)})
        return f"{made['Options']['o']} {made['Labels']['number']}"

    try:
        answers = at_once(engine, create)
        assert len(set(answers)) == 1, answers
        size, number = str(answers[0]).split()
        assert size == f"size={int(number) + 1}m"
        shown = engine.ok("run", "--rm", "-v", "same:/data", "busybox", "df", "-m", "/data")
        assert shown.splitlines()[-1].split()[1] == str(int(number) + 1)
        told = engine.ok("events", "--since", since, "--until", str(time.time()), "--format", "{{json .}}",
                         "--filter", "volume=same", "--filter", "event=create")  # fmt: skip
        assert [json.loads(line)["Action"] for line in told.splitlines()] == ["create"]
    finally:
        engine.ok("volume", "rm", "same")


def test_used_and_removed_at_once(engine: Engine) -> None:
    def turn(client: DockerClient, number: int) -> object:
        for _ in range(3):
            if number % 3 == 0:
                client.api.prune_volumes({"all": ["true"]})
            elif number % 3 == 1:
                client.api.create_volume("busy", "local")
                client.api.remove_volume("busy")
            else:
                config = client.api.create_host_config(binds=["busy:/data"])
                box = client.api.create_container("busybox", ["touch", "/data/mine"], host_config=config)
                client.api.start(box)
                assert client.api.wait(box)["StatusCode"] == 0
                client.api.remove_container(box, v=True)
        return None

    answers = at_once(engine, turn)
    for answer in answers:
        # In use, just gone, or being pruned by another: nothing that is an accident of the engine's.
        assert answer is None or (isinstance(answer, APIError) and answer.status_code in (404, 409)), answer
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
    engine.ok("volume", "rm", "--force", "busy")
    assert engine.ok("volume", "ls", "--quiet") == ""
    kept = [path.name for path in (engine.root / "data/volumes").iterdir() if path.is_dir()]
    assert kept == []
    assert engine.ok("run", "--rm", "-v", "busy:/data", "busybox", "ls", "/data") == ""
    engine.ok("volume", "rm", "busy")
