"""Networks made and removed, a running container connected and disconnected; bytes between two of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.http import Connection
from bench.measurement import Measurement, milliseconds
from bench.place import Side

NETWORK = "bench-net"
ONE, OTHER = "bench-one", "bench-other"
SECONDS = 2
PORT, PUBLISHED = 5201, 15201


def namespace(side: Side, container: str) -> Path:
    """Where a running container's network namespace is."""
    return Path(f"/proc/{side.engine.ok('inspect', '--format', '{{.State.Pid}}', container)}/ns/net")


def address(side: Side, container: str) -> str:
    """What a container is reached at."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return side.engine.ok("inspect", "--format", form, container)


def call(connection: Connection, method: str, path: str, body: object = None) -> bytes:
    """One request that has to go well."""
    status, answer = connection.call(method, f"/v1.41{path}", json.dumps(body).encode() if body else b"")
    assert status < 400, (method, path, status, answer)
    return answer


def create_and_remove(side: Side) -> float:
    """A network's life, the mean of five."""
    with Connection(side.engine.socket) as connection:

        def lives() -> None:
            for _ in range(5):
                call(connection, "POST", "/networks/create", {"Name": NETWORK})
                call(connection, "DELETE", f"/networks/{NETWORK}")

        return milliseconds(lives) / 5


def one(side: Side) -> None:
    """A container on the default network, and a network to connect it with."""
    side.engine.ok("network", "create", NETWORK)
    side.engine.ok("run", "-d", "--name", ONE, "busybox", "sleep", "3600")


def connect_and_disconnect(side: Side) -> float:
    """In and out again, the mean of five."""
    with Connection(side.engine.socket) as connection:

        def moves() -> None:
            for _ in range(5):
                call(connection, "POST", f"/networks/{NETWORK}/connect", {"Container": ONE})
                call(connection, "POST", f"/networks/{NETWORK}/disconnect", {"Container": ONE})

        return milliseconds(moves) / 5


def two(side: Side) -> None:
    """Two containers on a network of their own; one publishes a port."""
    side.engine.ok("network", "create", NETWORK)
    for name, options in ((ONE, ("-p", f"{PUBLISHED}:{PORT}")), (OTHER, ())):
        side.engine.ok(
            "run", "-d", "--name", name, "--network", NETWORK, *options, "busybox", "sleep", "3600"
        )


def end(side: Side) -> None:
    """Without all that again."""
    side.engine.docker("rm", "--force", ONE, OTHER)
    side.engine.docker("network", "rm", NETWORK)


def pinned(which: int, inside: Path) -> list[str]:
    """Runs a command in a namespace, on one processor: which one makes a third of a difference."""
    processors = sorted(os.sched_getaffinity(0))
    processor = processors[which % len(processors)]
    return ["taskset", "--cpu-list", str(processor), "nsenter", f"--net={inside}"]


def transfer(side: Side, client: Path, target: str, port: int) -> Any:
    """What iperf3 tells of sending from a namespace to a server in the first container."""
    inside = pinned(0, namespace(side, ONE))
    server = [*inside, "iperf3", "--server", "--one-off", "--forceflush", "--port", str(PORT)]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            assert any("listening" in line for line in serving.stdout), "iperf3 does not listen"
            done = subprocess.run(
                [
                    *pinned(1, client),
                    "iperf3",
                    "--json",
                    "--client",
                    target,
                    "--port",
                    str(port),
                    "--time",
                    str(SECONDS),
                ],
                capture_output=True,
                check=True,
                timeout=SECONDS + 20,
            )
        finally:
            serving.kill()
    return json.loads(done.stdout)["end"]


def throughput(told: Any) -> float:
    """Gigabits a second."""
    return float(told["sum_received"]["bits_per_second"]) / 1e9


def cost(told: Any) -> float:
    """Milliseconds of both ends' processors a gigabyte; the kernel's work on the way is among them."""
    used = told["cpu_utilization_percent"]["host_total"] + told["cpu_utilization_percent"]["remote_total"]
    seconds, sent = told["sum_received"]["seconds"], told["sum_received"]["bytes"]
    return float(used / 100 * seconds * 1000 / (sent / 1e9))


def between(side: Side) -> Any:
    """From container to container."""
    return transfer(side, namespace(side, OTHER), address(side, ONE), PORT)


def published(side: Side) -> Any:
    """From another host, through the published port."""
    host, outside = side.engine.network, f"mobyb-o-{side.name}"
    link = ["ip", "-n", host.name]
    try:
        for words in (
            ["ip", "netns", "add", outside],
            [*link, "link", "add", "out0", "type", "veth", "peer", "name", "eth0", "netns", outside],
            [*link, "address", "add", "192.0.2.1/24", "dev", "out0"],
            ["ip", "-n", outside, "address", "add", "192.0.2.2/24", "dev", "eth0"],
            [*link, "link", "set", "out0", "up"],
            ["ip", "-n", outside, "link", "set", "eth0", "up"],
        ):
            subprocess.run(words, check=True)
        return transfer(side, Path("/run/netns") / outside, "192.0.2.1", PUBLISHED)
    finally:
        subprocess.run([*link, "link", "delete", "out0"], check=False)
        subprocess.run(["ip", "netns", "delete", outside], check=False)


def life(connection: Connection, mode: str) -> tuple[float, float]:
    """How long a container's start and its removal take on a network."""
    body = {"Image": "busybox", "Cmd": ["sleep", "3600"], "HostConfig": {"NetworkMode": mode}}
    call(connection, "POST", f"/containers/create?name={ONE}", body)
    start = milliseconds(lambda: call(connection, "POST", f"/containers/{ONE}/start"))
    return start, milliseconds(lambda: call(connection, "DELETE", f"/containers/{ONE}?force=1"))


def sandboxes(side: Side) -> tuple[float, float]:
    """What a bridge adds to a start and to a removal: the middle of ten pairs."""
    with Connection(side.engine.socket) as connection:
        pairs = [(life(connection, "bridge"), life(connection, "none")) for _ in range(10)]
    start, removal = (statistics.median(with_[at] - without[at] for with_, without in pairs) for at in (0, 1))
    return start, removal


class Transfers:
    """Transfers of one kind: how fast they were, and then, of the same ones, what they cost."""

    def __init__(self, how: Callable[[Side], Any]) -> None:
        self._how = how
        self._told: dict[str, list[Any]] = {}

    def speed(self, side: Side) -> float:
        """Of one more."""
        told = self._how(side)
        self._told.setdefault(side.name, []).append(told)
        return throughput(told)

    def price(self, side: Side) -> float:
        """Of the first that nobody has asked of; of one more if there is none."""
        known = self._told.get(side.name)
        return cost(known.pop(0) if known else self._how(side))


_BETWEEN, _PUBLISHED = Transfers(between), Transfers(published)


MEASUREMENTS = (
    Measurement("sandbox-start", "ms", lambda side: sandboxes(side)[0], rounds=5, goal=4.0, alone=True),
    Measurement("sandbox-removal", "ms", lambda side: sandboxes(side)[1], rounds=5, goal=1.0, alone=True),
    Measurement("network-create-rm", "ms", create_and_remove, rounds=9, goal=0.4),
    Measurement("network-connect", "ms", connect_and_disconnect, rounds=9, goal=0.4, prepare=one, tidy=end),
    *(
        Measurement(
            f"iperf3-{name}{suffix}",
            unit,
            turn,
            rounds=9,
            goal=1.0,
            rising=rising,
            prepare=two,
            tidy=end,
        )
        for name, how in (("containers", _BETWEEN), ("published", _PUBLISHED))
        for suffix, unit, turn, rising in (
            ("", "Gbit/s", how.speed, True),
            ("-cpu", "ms/GB", how.price, False),
        )
    ),
)
