"""This file is about shims that containerd has forgotten: it was interrupted while it started them."""

from __future__ import annotations

import logging
import os
import signal
from itertools import pairwise
from pathlib import Path

from moby.core.errors import NotFound
from moby.host.watched import Watched

log = logging.getLogger(__name__)


def end_forgotten(address: str, namespace: str, container: str) -> int:
    """Kill the shims of a container that has no task, with what they run; how many there were. Blocks."""
    ended = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or not _is_shim(entry, address, namespace, container):
            continue
        try:
            process = Watched(int(entry))
        except NotFound:
            continue
        try:
            # Looked at again: the descriptor is now about this process and no later one by its number.
            if _is_shim(entry, address, namespace, container):
                for child in _children(entry):
                    os.kill(child, signal.SIGKILL)
                process.kill(signal.SIGKILL)
                ended += 1
                log.warning("ended a forgotten shim", extra={"pid": process.pid, "container": container})
        except ProcessLookupError:
            continue
        finally:
            process.close()
    return ended


def _is_shim(pid: str, address: str, namespace: str, container: str) -> bool:
    try:
        argv = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    if not Path(os.fsdecode(argv[0])).name.startswith("containerd-shim-"):
        return False
    wanted = {b"-namespace": namespace, b"-id": container, b"-address": address}
    given = dict(pairwise(argv))
    return all(given.get(flag) == value.encode() for flag, value in wanted.items())


def _children(pid: str) -> list[int]:
    try:
        return [int(child) for child in Path("/proc", pid, "task", pid, "children").read_text().split()]
    except OSError:
        return []
