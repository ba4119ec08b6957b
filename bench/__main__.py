"""`python -m bench [NAME ...]`: measures mobyd against dockerd, and prints medians and ratios."""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import moby
from bench.measurement import Measurement, Outcome, measure
from bench.place import describe, sides

MODULES = (
    "run",
    "parallel",
    "api",
    "exec",
    "listing",
    "ping",
    "startup",
    "memory",
    "logs",
    "pull",
    "archives",
    "crowd",
    "flood",
    "networks",
    "ports",
    "names",
)


def measurements(names: Sequence[str]) -> list[Measurement]:
    """Those whose own name, or whose file's name, is among the names; all if there are none."""
    found: list[Measurement] = []
    for module in MODULES:
        every: Sequence[Measurement] = importlib.import_module(f"bench.{module}").MEASUREMENTS
        found += [one for one in every if not names or module in names or one.name in names]
    return found


def row(outcome: Outcome, ours: str, peer: str) -> str:
    """One line of the table."""
    what = outcome.measurement
    ratio = outcome.ratio(ours, peer)
    goal = "" if what.goal is None else f"{what.goal:.2f}"
    met = (
        ""
        if what.goal is None
        else "yes"
        if (ratio >= what.goal) == what.rising or ratio == what.goal
        else "no"
    )
    other = "" if what.alone else f"{outcome.median(peer):.2f}"
    return (
        f"{what.name:<26} {what.unit:<11} {outcome.median(ours):>10.2f} {other:>10}"
        f" {ratio:>7.2f} {goal:>6} {met:>4}"
    )


def as_json(outcomes: Sequence[Outcome], ours: str, peer: str) -> str:
    """Every turn, for those who compute further."""
    rows = [
        {
            "name": outcome.measurement.name,
            "unit": outcome.measurement.unit,
            "goal": outcome.measurement.goal,
            "rising": outcome.measurement.rising,
            "ratio": outcome.ratio(ours, peer),
            "values": outcome.values,
        }
        for outcome in outcomes
    ]
    return json.dumps(rows, indent=1)


def main() -> int:
    """Runs the measurements asked for; a failed one is told, and the others go on."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="files or measurements; all by default")
    parser.add_argument("--list", action="store_true", help="print the measurements and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every turn to a file")
    parser.add_argument(
        "--ours", default="mobyd", choices=["mobyd", "dockerd"], help="the engine in our column"
    )
    parser.add_argument("--rounds", type=int, help="turns a side, instead of each measurement's own number")
    asked = parser.parse_args()
    chosen = measurements(asked.names)
    if asked.list or not chosen:
        print("\n".join(measurement.name for measurement in measurements(())))
        return 0 if asked.list else 2
    if os.geteuid() != 0:
        print("Two engines are started: this needs root.", file=sys.stderr)
        return 2
    # As an installed package has it: nothing is compiled while the engine starts.
    compileall.compile_dir(str(Path(moby.__file__).parent), quiet=1)
    # Asked to end, it takes both engines apart as after the last measurement.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    ours, peer = "ours", "peer"
    outcomes, failed = [], 0
    with sides({ours: asked.ours, peer: "dockerd"}) as both:
        print(f"ours is {asked.ours} {describe(both[0].engine)}, peer is dockerd {describe(both[1].engine)}")
        print(
            f"{'':<26} {'unit':<11} {'ours':>10} {'peer':>10} {'ratio':>7} {'goal':>6} {'met':>4}", flush=True
        )
        for measurement in chosen:
            if asked.rounds:
                measurement = Measurement(**(vars(measurement) | {"rounds": asked.rounds}))
            try:
                outcomes.append(measure(measurement, both))
                print(row(outcomes[-1], ours, peer), flush=True)
            except Exception as error:  # noqa: BLE001 one failed measurement shall not cost the others
                failed += 1
                print(f"{measurement.name:<26} failed: {error}", flush=True)
    if asked.json:
        asked.json.write_text(as_json(outcomes, ours, peer) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
