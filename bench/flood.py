"""While containers write 500 MB of log: how long an inspect takes; and what a container costs in memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.crowd import make, names, remove
from bench.http import Connection
from bench.logs import lines
from bench.measurement import Measurement
from bench.memory import resident
from bench.place import Side

WRITERS = 4
COUNT = 400
QUIET = "bench-quiet"
STOPPED, RUNNING = 300, 30


def start(side: Side) -> None:
    """One to look at."""
    side.engine.ok("run", "-d", "--name", QUIET, "busybox", "sleep", "3600")


def end(side: Side) -> None:
    """Without it again."""
    side.engine.docker("rm", "--force", QUIET)


def slowest(side: Side) -> float:
    """The 99th percentile of an inspect, in milliseconds."""
    took = []
    with Connection(side.engine.socket) as connection, first_in_line():
        for _ in range(COUNT):
            began = time.perf_counter()
            connection.call("GET", f"/v1.41/containers/{QUIET}/json")
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)
    return sorted(took)[COUNT * 99 // 100]


@contextmanager
def first_in_line() -> Iterator[None]:
    """Who measures waits for no processor: that would count as the engine's time."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def under_flood(side: Side) -> float:
    """How many times longer than when nothing is written."""
    path = lines(side)
    writers = [f"bench-flood-{number}" for number in range(WRITERS)]
    idle = slowest(side)
    for name in writers:
        command = ("busybox", "sh", "-c", "cat /lines; head -c 50000000 /lines; sleep 3600")
        side.engine.ok("run", "-d", "--name", name, "-v", f"{path}:/lines:ro", *command)
    try:
        return slowest(side) / idle
    finally:
        side.engine.docker("rm", "--force", *writers)


def a_stopped_one(side: Side) -> float:
    """What the engine's memory grows by for one that was made, in KiB."""
    before, wanted = resident(side), names(STOPPED)
    make(side, wanted, running=False)
    try:
        return (resident(side) - before) * 1024 / STOPPED
    finally:
        remove(side, wanted)


def a_running_one(side: Side) -> float:
    """The same for one that runs, without its containerd shim, in KiB."""
    before, wanted = resident(side), names(RUNNING)
    make(side, wanted, running=True)
    try:
        return (resident(side) - before) * 1024 / RUNNING
    finally:
        remove(side, wanted)


MEASUREMENTS = (
    Measurement("inspect-p99-in-flood", "x idle", under_flood, rounds=3, warm=False, prepare=start, tidy=end),
    Measurement("memory-a-stopped", "KiB", a_stopped_one, rounds=1, warm=False),
    Measurement("memory-a-running", "KiB", a_running_one, rounds=1, warm=False),
)
