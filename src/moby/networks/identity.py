"""This file is about what a new network or endpoint is given: an ID, and the time as docker writes it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def new_id() -> str:
    """64 random hex digits."""
    return secrets.token_hex(32)


def now() -> str:
    """The time in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
