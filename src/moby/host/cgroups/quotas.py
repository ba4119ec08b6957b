"""This file is about the processors' time that a group may take (cgroup v1, cpu.cfs_quota_us)."""

from __future__ import annotations

from pathlib import Path

from moby.core.errors import System
from moby.host.cgroups.usage import cgroup_directories
from moby.host.files import translated


def lift_processor_quota(pid: int, name: str) -> None:
    """All the time that there is, for the group of this name that a process is in. Raises System."""
    try:
        directory = cgroup_directories(pid, name).get("cpu")
        if directory is None:
            raise System(f"process {pid} is in no group that is given processors' time")
        (Path(directory) / "cpu.cfs_quota_us").write_text("-1")
    except OSError as error:
        raise translated(error, "lift the quota of processors' time") from error
