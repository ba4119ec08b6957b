"""Crowds: thousands of listeners, readers that never read, a thousand containers when the machine starts."""

from __future__ import annotations

import os
import resource
import select
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

pytestmark = [
    pytest.mark.skipif(KIND != "mobyd", reason="these are promises of ours"),
    pytest.mark.timeout(600),
]

# All of them with `make storm`; fewer find most of what there is to find.
ALL = bool(os.environ.get("MOBY_STORM_SECONDS"))
LISTENERS = 10_000 if ALL else 2_000
BOOTED = 1_000 if ALL else 200
EVENTS = b"GET /v1.41/events?filters={%22type%22:[%22volume%22]} HTTP/1.1\r\nHost: d\r\n\r\n"


def opened(engine: Engine, request: bytes) -> socket.socket:
    """A connection with a request on it."""
    connection = socket.socket(socket.AF_UNIX)
    # Without a limit until it is connected: with one a full queue is an error.
    connection.connect(str(engine.socket))
    connection.settimeout(60)
    connection.sendall(request)
    return connection


def resident(engine: Engine) -> int:
    """The daemon's memory, in MiB."""
    with open(f"/proc/{engine.pid}/status") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("VmRSS"))


def test_ten_thousand_listeners(make_engine: Callable[..., Engine]) -> None:
    """Each hears of what happens, and nobody else waits for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = LISTENERS + 500
    if hard < wanted:
        pytest.skip(f"needs {wanted} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    engine = make_engine()
    resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    listeners = []
    try:
        for _ in range(LISTENERS):
            listeners.append(opened(engine, EVENTS))  # noqa: PERF401 - those before one that fails are closed
        for listener in listeners:
            assert listener.recv(4096).startswith(b"HTTP/1.1 200 OK")
        assert int(engine.ok("info", "-f", "{{.NEventsListener}}")) >= LISTENERS
        engine.ok("volume", "create", "told", timeout=120)
        waiting = select.poll()
        left = {listener.fileno() for listener in listeners}
        for number in left:
            waiting.register(number, select.POLLIN)
        deadline = time.monotonic() + 120
        while left:
            assert time.monotonic() < deadline, f"{len(left)} have not heard of it"
            for number, _ in waiting.poll(1000):
                left.discard(number)
                waiting.unregister(number)
        assert engine.ok("run", "--rm", "busybox", "echo", "soon", timeout=120) == "soon"
    finally:
        for listener in listeners:
            listener.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    deadline = time.monotonic() + 60
    while int(engine.ok("info", "-f", "{{.NEventsListener}}")) > 5:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    engine.ok("volume", "rm", "told")


def test_readers_that_never_read(make_engine: Callable[..., Engine]) -> None:
    """What they do not take is not kept for them without end."""
    engine = make_engine()
    talk = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); echo line $i of many that nobody ever reads; done"
    engine.ok("run", "-d", "--name", "talks", "busybox", "sh", "-c", f"{talk}; sleep 600")
    before = resident(engine)
    readers = []
    try:
        for number in range(60):
            path = (b"/events", b"/containers/talks/logs?follow=1&stdout=1", b"/containers/talks/stats")[
                number % 3
            ]
            reader = opened(engine, b"GET /v1.41" + path + b" HTTP/1.1\r\nHost: d\r\n\r\n")
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            readers.append(reader)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: engine.ok("volume", "create", f"v{n}"), range(200)))
        for _ in range(10):
            assert engine.ok("run", "--rm", "busybox", "echo", "soon") == "soon"
        assert resident(engine) - before < 150
        assert engine.ok("logs", "--tail", "1", "talks", timeout=120).endswith("ever reads")
    finally:
        for reader in readers:
            reader.close()
    engine.ok("rm", "-f", "talks")
    engine.ok("volume", "prune", "-af")


def test_a_thousand_containers_at_boot(make_engine: Callable[..., Engine]) -> None:
    """The API answers at once, every container has its state, those that are to start do."""
    engine = make_engine()
    with engine.client(timeout=300) as client:

        def make(number: int) -> str:
            restart = {"Name": "always" if number % 50 == 0 else "no"}
            host = client.api.create_host_config(network_mode="none", restart_policy=restart)
            made = client.api.create_container(
                "busybox", ["sleep", "600"], name=f"many-{number}", host_config=host
            )
            if number % 50 == 0:
                client.api.start(made["Id"])
            return str(made["Id"])

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(make, range(BOOTED)))
    for kill in (True, False):
        if kill:
            engine.kill()
        else:
            engine.stop()
        engine.start()
        assert int(engine.ok("info", "-f", "{{.Containers}}", timeout=120)) == BOOTED
        assert set(engine.ok("ps", "-aq", "--no-trunc", timeout=120).split()) == set(made)
        deadline = time.monotonic() + 120
        while len(engine.ok("ps", "-q").split()) < (BOOTED + 49) // 50:
            assert time.monotonic() < deadline, engine.ok("ps", "-q")
            time.sleep(0.5)
    with ThreadPoolExecutor(4) as pool:
        chunks = [made[start : start + 50] for start in range(0, BOOTED, 50)]
        list(pool.map(lambda names: engine.ok("rm", "-f", *names, timeout=300), chunks))
    assert engine.ok("ps", "-aq") == ""
