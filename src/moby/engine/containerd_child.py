"""This file is about where an engine keeps a containerd of its own, which is started before all else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moby.engine.config import EngineConfig
from moby.framework.assembly import Assembly
from moby.host.containerd.own_process import ContainerdProcess


def own_containerd(config: EngineConfig) -> ContainerdProcess | None:
    """Our own containerd, or none if the settings name another's address."""
    if config.containerd:
        return None
    level = "debug" if config.debug else config.log_level
    return ContainerdProcess(
        Path(config.data_root, "containerd"),
        Path(config.exec_root, "containerd"),
        level=level,
        btrfs=config.storage_driver == "btrfs",
    )


@contextmanager
def containerd_ahead(config: EngineConfig, assembly: Assembly) -> Iterator[None]:
    """The roots' directories, and our own containerd if the assembly has one, which comes up meanwhile.

    The engine takes it over and ends it; if it never does, it ends with the block. Raises NotFound.
    """
    for directory in (config.data_root, config.exec_root):
        Path(directory).mkdir(mode=0o711, parents=True, exist_ok=True)
    wanted = any(one.component.name == "containerd" for one in assembly.chosen)
    own = own_containerd(config) if wanted else None
    try:
        if own is not None:
            own.begin()
        yield
    except BaseException:
        if own is not None:
            own.abandon()
        raise
