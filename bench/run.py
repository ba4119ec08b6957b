"""`docker run --rm busybox true`, from the start of the command to its end."""

from __future__ import annotations

from bench.measurement import Measurement, milliseconds
from bench.place import Side


def run(side: Side, *options: str) -> float:
    """One whole run."""
    return milliseconds(lambda: side.engine.ok("run", "--rm", *options, "busybox", "true"))


MEASUREMENTS = (
    Measurement("run-bridge", "ms", lambda side: run(side), rounds=15, goal=0.5),
    Measurement("run-none", "ms", lambda side: run(side, "--network", "none"), rounds=15, goal=0.7),
    Measurement("run-published", "ms", lambda side: run(side, "-p", "18080:80"), rounds=15, goal=0.45),
)
