"""The memory of all an engine's own processes while ten containers run, each page counted once."""

from __future__ import annotations

import re
from pathlib import Path

from bench.measurement import Measurement
from bench.place import Side
from tests.leftovers import in_namespace, processes

CONTAINERS = 10


def start(side: Side) -> None:
    """Ten containers with a published port each."""
    for number in range(CONTAINERS):
        name = f"bench-memory-{number}"
        side.engine.ok("run", "-d", "--name", name, "-p", f"{19000 + number}:80", "busybox", "sleep", "3600")


def end(side: Side) -> None:
    """Without them again."""
    side.engine.docker("rm", "--force", *(f"bench-memory-{number}" for number in range(CONTAINERS)))


def proportional_bytes(pid: str) -> int:
    """What a process keeps in memory, where a page that several share is divided among them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def resident(side: Side) -> float:
    """The daemon and what it keeps beside each container: monitors, which are shims, or shims and port
    proxies. Not containerd, which both sides have alike.
    """
    everyone = in_namespace(side.engine.network.path) | processes(str(side.engine.root))
    own = set()
    for line in everyone:
        pid, _, name = line.partition(": ")
        command = Path(f"/proc/{pid}/cmdline")
        text = command.read_bytes().decode(errors="replace") if command.exists() else name
        if not re.search(r"containerd\0|docker-registry|^sleep\0", text) or "mobyd" in text:
            own.add(pid)
    return sum(map(proportional_bytes, own)) / (1 << 20)


MEASUREMENTS = (
    Measurement("memory-10-running", "MiB", resident, rounds=3, goal=0.9, prepare=start, tidy=end),
)
