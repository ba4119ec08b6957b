"""This file is about the machine that the engine runs on, as `docker info` tells of it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import msgspec


class MachineFacts(msgspec.Struct, frozen=True):
    """Found out once; `memory` in bytes."""

    name: str
    kernel: str
    architecture: str
    operating_system: str
    os_version: str
    cpus: int
    memory: int


@cache
def machine_facts() -> MachineFacts:
    """What does not change while we run."""
    system = os.uname()
    release = _os_release()
    return MachineFacts(
        name=system.nodename,
        kernel=system.release,
        architecture=system.machine,
        operating_system=release.get("PRETTY_NAME", "Linux"),
        os_version=release.get("VERSION_ID", ""),
        cpus=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )


def _os_release() -> dict[str, str]:
    """os-release(5)."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
        return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
    return {}
