"""What a measurement is, and how the two sides take turns."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Sequence

from bench.place import Side


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One number a turn, for one side at a time.

    `prepare` runs once a side before the first turn and `tidy` once after the last; neither is measured.
    `goal` is the wished ratio of ours over the peer's. `rising` says that more is better. `warm` runs one
    turn first that is not counted. What is measured `alone` is no matter for the peer: its goal is the value.
    """

    name: str
    unit: str
    turn: Callable[[Side], float]
    rounds: int = 7
    goal: float | None = None
    rising: bool = False
    warm: bool = True
    alone: bool = False
    prepare: Callable[[Side], None] = lambda _: None
    tidy: Callable[[Side], None] = lambda _: None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """All turns of one measurement, by side."""

    measurement: Measurement
    values: dict[str, list[float]]

    def median(self, side: str) -> float:
        """The middle of a side's turns."""
        return statistics.median(self.values[side])

    def ratio(self, ours: str, peer: str) -> float:
        """Ours over the peer's: below one is better, unless the measurement rises. Alone: ours.

        The middle of the rounds' own ratios: what slows the machine down for a while slows both of a round.
        """
        if self.measurement.alone:
            return self.median(ours)
        rounds = zip(self.values[ours], self.values[peer], strict=True)
        return statistics.median(mine / theirs for mine, theirs in rounds)


def milliseconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def measure(measurement: Measurement, sides: Sequence[Side]) -> Outcome:
    """A B A B: what else the machine does at the time falls on both; alone, A A A A."""
    if measurement.alone:
        sides = sides[:1]
    values: dict[str, list[float]] = {side.name: [] for side in sides}
    prepared = []
    gc.collect()
    try:
        for side in sides:
            prepared.append(side)
            measurement.prepare(side)
        for side in sides if measurement.warm else ():
            measurement.turn(side)  # what is only slow once is not what is asked
        for number in range(measurement.rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                values[side.name].append(measurement.turn(side))
    finally:
        for side in prepared:
            measurement.tidy(side)
    return Outcome(measurement, values)
