"""Many clients who want opposite things of the same containers, and crashes in the middle of it."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from docker import APIClient
from docker.errors import APIError, DockerException

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

# How long the storm lasts; more finds more. `make storm` sets it.
SECONDS = float(os.environ.get("MOBY_STORM_SECONDS", "0"))
CLIENTS, CONTAINERS, CRASHES = 16, 8, int(SECONDS * 100 / 120)

pytestmark = [
    pytest.mark.skipif(
        KIND != "mobyd" or not SECONDS, reason="chance decides what is found: run it with `make storm`"
    ),
    pytest.mark.timeout(SECONDS * 10 + 300),
]
NAMES = [f"storm-{number}" for number in range(CONTAINERS)]


class Storm:
    """Clients that do anything to the same containers, until told to stop."""

    def __init__(self, engine: Engine, *, crashes: bool) -> None:
        self.engine = engine
        self.stop = threading.Event()
        self.answers: Counter[int] = Counter()
        self.strange: list[str] = []
        self._crashes = crashes
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads), "a client still waits for its answer"

    def _client(self, number: int) -> None:
        rng = random.Random(number)
        api = APIClient(base_url=f"unix://{self.engine.socket}", timeout=60)
        while not self.stop.is_set():
            name = rng.choice(NAMES)
            act = rng.choice([
                self._create, self._create, self._start, self._start, self._stop, self._kill, self._run, self._run,
                self._rename, self._remove, self._look, self._pause,
            ])  # fmt: skip
            try:
                act(api, name, rng)
                self.answers[200] += 1
            except APIError as error:
                status = error.status_code or 0
                self.answers[status] += 1
                if status >= 500:
                    self.strange.append(f"{act.__name__} {name}: {status} {error.explanation}")
            except (DockerException, OSError, ValueError) as error:
                self.answers[0] += 1
                if not self._crashes:
                    self.strange.append(f"{act.__name__} {name}: {type(error).__name__} {error}")
        api.close()

    def _create(self, api: APIClient, name: str, rng: random.Random) -> None:
        policy = {"Name": rng.choice(["no", "no", "on-failure", "always"])}
        host = api.create_host_config(restart_policy=policy, tmpfs={"/scratch": ""}, binds=["storm:/data"])
        command = rng.choice([["sleep", "600"], ["sh", "-c", "echo said; sleep 0.5; exit 3"], ["true"]])
        api.create_container("busybox", command, name=name, host_config=host, volumes=["/data"])

    def _start(self, api: APIClient, name: str, rng: random.Random) -> None:
        api.start(name)

    def _stop(self, api: APIClient, name: str, rng: random.Random) -> None:
        api.stop(name, timeout=0)

    def _kill(self, api: APIClient, name: str, rng: random.Random) -> None:
        api.kill(name, rng.choice(["SIGKILL", "SIGHUP"]))

    def _run(self, api: APIClient, name: str, rng: random.Random) -> None:
        made = api.exec_create(name, ["sh", "-c", "echo in; exit 2"])
        api.exec_start(made["Id"], detach=rng.random() < 0.3)
        api.exec_inspect(made["Id"])

    def _rename(self, api: APIClient, name: str, rng: random.Random) -> None:
        api.rename(name, rng.choice(NAMES))

    def _remove(self, api: APIClient, name: str, rng: random.Random) -> None:
        api.remove_container(name, force=rng.random() < 0.5, v=True)

    def _look(self, api: APIClient, name: str, rng: random.Random) -> None:
        api.inspect_container(name)
        api.containers(all=True)
        api.logs(name, tail=2)

    def _pause(self, api: APIClient, name: str, rng: random.Random) -> None:
        api.pause(name)
        time.sleep(0.01)
        api.unpause(name)


def strange_kinds(storm: Storm) -> dict[str, int]:
    """What clients should never be told, each kind once."""
    return dict(Counter(re.sub(r"storm-\d|[0-9a-f]{64}|\d{3,}", "*", line) for line in storm.strange))


def tidy(engine: Engine) -> None:
    """Every container goes, which has to work for each of them."""
    for name in engine.ok("ps", "-aq").split():
        engine.ok("rm", "-f", "-v", name)
    engine.docker("volume", "rm", "storm")


def consistent(engine: Engine) -> None:
    """What is said to run runs, and nothing else does."""
    with engine.client() as client:
        for container in client.api.containers(all=True):
            try:
                found = client.api.inspect_container(container["Id"])
            except APIError:
                continue
            state = found["State"]
            if state["Running"] and not state["Restarting"]:
                command = Path(f"/proc/{state['Pid']}/cgroup")
                deadline = time.monotonic() + 10
                while not (command.exists() and found["Id"] in command.read_text()):
                    again = client.api.inspect_container(container["Id"])["State"]
                    if again["Pid"] != state["Pid"]:
                        break
                    assert time.monotonic() < deadline, f"{found['Name']} does not run: {state}"
                    time.sleep(0.1)


def test_opposite_wishes_all_get_an_answer(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "--rm", "busybox", "true")
    before = engine.leftovers()
    descriptors = len(os.listdir(f"/proc/{engine.pid}/fd"))
    with Storm(engine, crashes=False) as storm:
        time.sleep(SECONDS)
    assert strange_kinds(storm) == {}, storm.answers
    assert storm.answers[200] > 100, storm.answers
    consistent(engine)
    tidy(engine)
    deadline = time.monotonic() + 20
    while engine.leftovers() != before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert engine.leftovers() == before
    assert len(os.listdir(f"/proc/{engine.pid}/fd")) <= descriptors + 20


def test_crashes_at_any_moment_lose_and_leave_nothing(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "--rm", "busybox", "true")
    engine.ok(
        "run",
        "-d",
        "--name",
        "witness",
        "busybox",
        "sh",
        "-c",
        "i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done",
    )
    rng = random.Random(7)
    with Storm(engine, crashes=True) as storm:
        for _ in range(CRASHES):
            time.sleep(0.3 + rng.random() * 1.5)
            engine.kill()
            engine.start()
    assert strange_kinds(storm) == {}, storm.answers
    consistent(engine)
    lines = engine.ok("logs", "witness").split()
    assert lines == [str(number) for number in range(1, len(lines) + 1)]
    assert len(lines) > 20
    tidy(engine)
    for _ in range(100):
        left = engine.leftovers()
        if not left.mounts and not left.links:
            break
        time.sleep(0.2)
    left = engine.leftovers()
    assert not left.links
    assert not [point for point in left.mounts if "rootfs" in point or "netns" in point]
