"""This file is about where an engine keeps a containerd of its own."""

from __future__ import annotations

from pathlib import Path

from moby.engine.config import EngineConfig
from moby.host.containerd.managed import ManagedContainerd


def managed_containerd(config: EngineConfig) -> ManagedContainerd | None:
    """Our own containerd, or none if the settings name another's address."""
    if config.containerd:
        return None
    level = "debug" if config.debug else config.log_level
    return ManagedContainerd(
        Path(config.data_root, "containerd"),
        Path(config.exec_root, "containerd"),
        level=level,
        btrfs=config.storage_driver == "btrfs",
    )
