"""Many containers: a list of 1,000, stopping 50, removing 100, starting the engine with 550 of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from bench.http import Connection, milliseconds_a_request
from bench.measurement import Measurement, milliseconds
from bench.place import Side

CLIENTS = 8
PREFIX = "crowd"
# Ends when it is asked to; without a handler, the first process of a container hears no SIGTERM.
OBEDIENT = ["sh", "-c", "trap exit TERM; sleep 3600 & wait"]


def names(count: int, kind: str = "") -> list[str]:
    """The names of so many containers."""
    return [f"{PREFIX}{kind}-{number}" for number in range(count)]


def call(side: Side, method: str, path: str, body: bytes = b"") -> None:
    """One request on a connection of its own, which has to go well."""
    with Connection(side.engine.socket) as connection:
        status, answer = connection.call(method, f"/v1.41{path}", body)
        assert status < 400, (method, path, status, answer)


def make(side: Side, wanted: list[str], *, running: bool) -> None:
    """Containers, several at a time."""
    body = json.dumps({"Image": "busybox", "Cmd": OBEDIENT}).encode()

    def one(name: str) -> None:
        call(side, "POST", f"/containers/create?name={name}", body)
        if running:
            call(side, "POST", f"/containers/{name}/start")

    everywhere(one, wanted)


def everywhere(work: object, wanted: list[str], clients: int = CLIENTS) -> None:
    """`work(name)` for each name, by several clients at once."""
    with ThreadPoolExecutor(clients) as pool:
        for _ in pool.map(work, wanted):  # type: ignore[arg-type]
            pass


def remove(side: Side, wanted: list[str]) -> None:
    """Without them again."""
    everywhere(lambda name: call(side, "DELETE", f"/containers/{name}?force=1&v=1"), wanted)


def thousand(side: Side) -> None:
    """A thousand that were never started."""
    make(side, names(1000), running=False)


def listing(side: Side) -> float:
    """One list of all."""
    return milliseconds_a_request(side.engine.socket, "/v1.41/containers/json?all=1", 10)


def stop(side: Side) -> float:
    """50 are stopped at once."""
    wanted = names(50)
    make(side, wanted, running=True)
    took = milliseconds(
        lambda: everywhere(lambda name: call(side, "POST", f"/containers/{name}/stop"), wanted, 50)
    )
    remove(side, wanted)
    return took


def force(side: Side) -> float:
    """100 that run are removed by one command."""
    wanted = names(100)
    make(side, wanted, running=True)
    return milliseconds(lambda: side.engine.ok("rm", "--force", *wanted, timeout=300))


def crowd(side: Side) -> None:
    """500 that have been made, and 50 that are always to run."""
    make(side, names(500), running=False)
    body = {"Image": "busybox", "Cmd": OBEDIENT, "HostConfig": {"RestartPolicy": {"Name": "always"}}}

    def one(name: str) -> None:
        call(side, "POST", f"/containers/create?name={name}", json.dumps(body).encode())
        call(side, "POST", f"/containers/{name}/start")

    everywhere(one, names(50, "-runs"))


def disperse(side: Side) -> None:
    """Without them again."""
    remove(side, [*names(500), *names(50, "-runs")])


def restart(side: Side) -> float:
    """From the start of the process until all 50 run, as a list says; the stop before is not counted."""
    side.engine.stop(timeout=120)

    def until_all_run() -> None:
        side.engine.start()
        query = "/v1.41/containers/json?filters=%7B%22status%22%3A%5B%22running%22%5D%7D"
        while True:
            with Connection(side.engine.socket) as connection:
                _, answer = connection.call("GET", query)
            if len(json.loads(answer)) >= 50:
                return

    return milliseconds(until_all_run)


MEASUREMENTS = (
    Measurement(
        "list-1000", "ms", listing, goal=0.1, prepare=thousand, tidy=lambda side: remove(side, names(1000))
    ),
    Measurement("stop-50", "ms", stop, rounds=3, goal=0.5),
    Measurement("rm-100", "ms", force, rounds=3, goal=0.4),
    Measurement(
        "start-with-550", "ms", restart, rounds=3, goal=0.5, warm=False, prepare=crowd, tidy=disperse
    ),
)
