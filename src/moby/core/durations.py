"""This file is about durations as Go writes them: `1h30m`, `1.5s`, `250ms` (package time, ParseDuration)."""

from __future__ import annotations

import re

from moby.core.errors import InvalidParameter

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+|[-+]?0")
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SECOND_NS = 1_000_000_000


def is_duration(text: str) -> bool:
    """Whether it can be parsed."""
    return _DURATION.fullmatch(text) is not None


def parse_duration(text: str) -> float:
    """In seconds. Raises InvalidParameter."""
    if not is_duration(text):
        raise InvalidParameter(f'time: invalid duration "{text}"')
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    return -seconds if text.startswith("-") else seconds


def format_duration(nanoseconds: int) -> str:
    """Nanoseconds, not negative, in the units that leave no zeros in front."""
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanoseconds and nanoseconds < min(size * 1000, _SECOND_NS):
            return _decimal(nanoseconds, size) + unit
    minutes, rest = divmod(nanoseconds, 60 * _SECOND_NS)
    hours, minutes = divmod(minutes, 60)
    words = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{words}{_decimal(rest, _SECOND_NS)}s"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
