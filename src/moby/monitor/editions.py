"""This file is about which fork server is ours: one that was started by the same program as runs now.

A fork server outlives the daemon. After an upgrade it would fork monitors that know nothing of what is new,
so the daemon starts another beside it; the old one stays as long as monitors of its own live.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import moby

_PARTS = (
    "monitor/*.py",
    "monitor/shim/*.py",
    "logs/*.py",
    "logs/drivers/*.py",
    "host/mounting/*.py",
    "core/logs.py",
    "core/errors.py",
    "core/protobuf.py",
)


def socket_name(drivers: Mapping[str, str]) -> str:
    """The name of the socket of the fork server that this program, with these log drivers, speaks with."""
    found = hashlib.sha256(repr((moby.__version__, sorted(drivers.items()))).encode())
    for path in _files():
        found.update(path.read_bytes())
    return f"server-{found.hexdigest()[:12]}.sock"


def is_server(path: Path) -> bool:
    """Is this the socket of a fork server, and not a monitor's?"""
    return path.name.startswith("server")


def _files() -> Iterator[Path]:
    root = Path(moby.__file__).parent
    for pattern in _PARTS:
        yield from sorted(root.glob(pattern))
