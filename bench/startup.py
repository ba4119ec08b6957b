"""From the start of the process to the first answer."""

from __future__ import annotations

from bench.measurement import Measurement, milliseconds
from bench.place import Side


def restart(side: Side) -> float:
    """The start alone; the stop before is not counted."""
    side.engine.stop()
    return milliseconds(side.engine.start)


MEASUREMENTS = (Measurement("start-to-ready", "ms", restart, rounds=5, goal=0.7),)
