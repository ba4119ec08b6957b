"""The smallest request there is."""

from __future__ import annotations

from bench.http import flood, milliseconds_a_request
from bench.measurement import Measurement
from bench.place import Side


def one(side: Side) -> float:
    """On one connection."""
    return milliseconds_a_request(side.engine.socket, "/_ping", 2000)


def many(side: Side) -> float:
    """On 32 connections; the client is one Python process, which both sides wait for alike."""
    return flood(side.engine.socket, "/_ping", connections=32, seconds=2)


MEASUREMENTS = (
    Measurement("ping-1", "ms", one, goal=2.0),
    Measurement("ping-32", "requests/s", many, goal=1.0, rising=True),
)
