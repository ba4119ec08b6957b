"""The API without the command in front: a container's life, and what is asked of one."""

from __future__ import annotations

import json

from bench.http import Connection, milliseconds_a_request
from bench.measurement import Measurement, milliseconds
from bench.place import Side

NAME = "bench-inspected"


def life(side: Side) -> float:
    """Create, start, wait for the end, remove."""
    body = json.dumps({"Image": "busybox", "Cmd": ["true"]}).encode()

    def whole() -> None:
        with Connection(side.engine.socket) as connection:
            status, answer = connection.call("POST", "/v1.41/containers/create", body)
            assert status == 201, answer
            name = json.loads(answer)["Id"]
            for method, path, wanted in (
                ("POST", f"/v1.41/containers/{name}/start", 204),
                ("POST", f"/v1.41/containers/{name}/wait", 200),
                ("DELETE", f"/v1.41/containers/{name}", 204),
            ):
                status, answer = connection.call(method, path)
                assert status == wanted, (path, status, answer)

    return milliseconds(whole)


def start(side: Side) -> None:
    """A container to ask for."""
    side.engine.ok("run", "-d", "--name", NAME, "busybox", "sleep", "3600")


def end(side: Side) -> None:
    """Without it again."""
    side.engine.docker("rm", "--force", NAME)


def inspect(side: Side) -> float:
    """One inspect."""
    return milliseconds_a_request(side.engine.socket, f"/v1.41/containers/{NAME}/json", 500)


MEASUREMENTS = (
    Measurement("api-create-start-rm", "ms", life, rounds=15, goal=0.4),
    Measurement("inspect", "ms", inspect, rounds=7, goal=2.0, prepare=start, tidy=end),
)
