"""A command in a running container."""

from __future__ import annotations

import json

from bench.http import Connection
from bench.measurement import Measurement, milliseconds
from bench.place import Side

NAME = "bench-exec"


def start(side: Side) -> None:
    """A container to run commands in."""
    side.engine.ok("run", "-d", "--name", NAME, "busybox", "sleep", "3600")


def end(side: Side) -> None:
    """Without it again."""
    side.engine.docker("rm", "--force", NAME)


def by_api(side: Side) -> float:
    """Create, start, read to the end, inspect."""

    def whole() -> None:
        body = json.dumps({"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}).encode()
        with Connection(side.engine.socket) as connection:
            status, answer = connection.call("POST", f"/v1.41/containers/{NAME}/exec", body)
            assert status == 201, answer
            name = json.loads(answer)["Id"]
        side.engine.raw(
            f"POST /v1.41/exec/{name}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}".encode()
        )
        with Connection(side.engine.socket) as connection:
            status, answer = connection.call("GET", f"/v1.41/exec/{name}/json")
            assert json.loads(answer)["ExitCode"] == 0, answer

    return milliseconds(whole)


def by_command(side: Side) -> float:
    """`docker exec NAME true`."""
    return milliseconds(lambda: side.engine.ok("exec", NAME, "true"))


MEASUREMENTS = (
    Measurement("exec", "ms", by_api, rounds=15, goal=0.5, prepare=start, tidy=end),
    Measurement("docker-exec", "ms", by_command, rounds=10, prepare=start, tidy=end),
)
