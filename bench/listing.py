"""A list of 200 containers."""

from __future__ import annotations

import json

from bench.http import Connection, milliseconds_a_request
from bench.measurement import Measurement
from bench.place import Side

COUNT = 200


def create(side: Side) -> None:
    """Containers that were never started are listed like all others."""
    body = json.dumps({"Image": "busybox", "Cmd": ["true"], "Labels": {"bench": "listing"}}).encode()
    with Connection(side.engine.socket) as connection:
        for number in range(COUNT):
            status, answer = connection.call("POST", f"/v1.41/containers/create?name=listed-{number}", body)
            assert status == 201, answer


def remove(side: Side) -> None:
    """Without them again."""
    with Connection(side.engine.socket) as connection:
        for number in range(COUNT):
            connection.call("DELETE", f"/v1.41/containers/listed-{number}?force=1")


def listing(side: Side) -> float:
    """One list of all."""
    return milliseconds_a_request(side.engine.socket, "/v1.41/containers/json?all=1", 20)


MEASUREMENTS = (Measurement("list-200", "ms", listing, goal=0.5, prepare=create, tidy=remove),)
