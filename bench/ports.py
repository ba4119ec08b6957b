"""Published ports: a start with 20, one with 200 where 5,000 are already, the engine's start with those."""

from __future__ import annotations

import statistics

from bench.http import Connection
from bench.measurement import Measurement, milliseconds
from bench.networks import call
from bench.place import Side

NAME = "bench-ports"
FIRST, CROWD, EACH = 20000, 5000, 500


def crowd() -> list[str]:
    """The names of those that publish 5,000 ports together."""
    return [f"{NAME}-{number}" for number in range(CROWD // EACH)]


def make(connection: Connection, name: str, first: int, count: int) -> None:
    """A container that is to publish so many ports."""
    bindings = {f"{port}/tcp": [{"HostPort": str(port)}] for port in range(first, first + count)}
    body = {
        "Image": "busybox",
        "Cmd": ["sleep", "3600"],
        "ExposedPorts": {port: {} for port in bindings},
        "HostConfig": {"PortBindings": bindings},
    }
    call(connection, "POST", f"/containers/create?name={name}", body)


def start(side: Side, count: int) -> float:
    """How long the start of a container takes that publishes so many ports, in milliseconds."""
    with Connection(side.engine.socket) as connection:
        make(connection, NAME, 30000, count)
        try:
            return milliseconds(lambda: call(connection, "POST", f"/containers/{NAME}/start"))
        finally:
            call(connection, "DELETE", f"/containers/{NAME}?force=1")


def publish(side: Side) -> None:
    """Containers with 5,000 published ports."""
    with Connection(side.engine.socket) as connection:
        for number, name in enumerate(crowd()):
            make(connection, name, FIRST + number * EACH, EACH)
            call(connection, "POST", f"/containers/{name}/start")


def withdraw(side: Side) -> None:
    """Without them again."""
    side.engine.docker("rm", "--force", *crowd())


def among_many(side: Side) -> float:
    """How many times longer a start with 200 ports takes than one without any."""
    plain = statistics.median(start(side, 0) for _ in range(5))
    return statistics.median(start(side, 200) for _ in range(5)) / plain


def restart(side: Side) -> float:
    """The engine's start with all these containers running, in milliseconds."""
    side.engine.kill()
    return milliseconds(side.engine.start)


def restart_with_many(side: Side) -> float:
    """Seconds that the engine's start takes longer with 5,000 published ports than with none."""
    names = [f"{NAME}-plain-{number}" for number in range(CROWD // EACH)]
    try:
        for name in names:
            side.engine.ok("run", "-d", "--name", name, "busybox", "sleep", "3600")
        without = statistics.median(restart(side) for _ in range(3))
    finally:
        side.engine.docker("rm", "--force", *names)
    publish(side)
    try:
        return (statistics.median(restart(side) for _ in range(3)) - without) / 1000
    finally:
        withdraw(side)


MEASUREMENTS = (
    Measurement("start-20-ports", "ms", lambda side: start(side, 20), rounds=9, goal=0.15),
    Measurement(
        "start-200-among-5000", "x plain", among_many, rounds=3, goal=1.5, warm=False, alone=True,
        prepare=publish, tidy=withdraw,
    ),
    Measurement(
        "restart-5000-ports", "s more", restart_with_many, rounds=2, goal=2.0, warm=False, alone=True
    ),
)  # fmt: skip
