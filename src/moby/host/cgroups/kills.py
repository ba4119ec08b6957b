"""This file is about who was killed for memory: the counts that a control group keeps of it (cgroups(7))."""

from __future__ import annotations

from pathlib import Path

from moby.host.cgroups.readings import Readings

_ROOT = Path("/sys/fs/cgroup")


def killed_for_memory(group: str, root: Path = _ROOT) -> bool:
    """Did the kernel kill a process of this group, since the group was made? No if nobody counted."""
    readings = Readings()
    for path in (
        root / "memory" / group.strip("/") / "memory.oom_control",
        root / group.strip("/") / "memory.events",
    ):
        for line in readings.once(str(path)).splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return value.strip() not in ("", "0")
    return False
