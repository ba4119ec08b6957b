"""32 runs by 8 clients at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bench.measurement import Measurement, milliseconds
from bench.place import Side

RUNS, CLIENTS = 32, 8


def runs(side: Side) -> float:
    """The time a run, all runs taken together."""

    def all_of_them() -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in pool.map(
                lambda _: side.engine.ok("run", "--rm", "busybox", "true", timeout=120), range(RUNS)
            ):
                pass

    return milliseconds(all_of_them) / RUNS


MEASUREMENTS = (Measurement("run-32-by-8", "ms a run", runs, rounds=3, goal=0.5),)
