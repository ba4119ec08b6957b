"""This file is about a moment as logs write it."""

from __future__ import annotations

from datetime import UTC, datetime


def timestamp(time_ns: int) -> str:
    """RFC 3339 with nanoseconds in UTC, without trailing zeros."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{nanoseconds:09d}".rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"
