"""This file is about what an engine starts first, which comes up while the rest is still being imported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from moby.core.logs import TO_PLUGIN
from moby.engine.config import EngineConfig
from moby.engine.containerd_child import managed_containerd
from moby.framework.assembly import Assembly
from moby.host.threads import blocking
from moby.monitor.client import Monitors


@asynccontextmanager
async def containerd_ahead(config: EngineConfig, assembly: Assembly) -> AsyncIterator[None]:
    """The roots' directories, and our own containerd if the assembly has one.

    The engine takes it over; if it never does, it ends with the block.
    """
    for directory in (config.data_root, config.exec_root):
        Path(directory).mkdir(mode=0o711, parents=True, exist_ok=True)
    wanted = any(one.component.name == "containerd" for one in assembly.chosen)
    managed = managed_containerd(config) if wanted else None
    if managed is None:
        yield
        return
    try:
        await blocking(managed.begin)
        yield
    except BaseException:
        await blocking(managed.abandon)
        raise


def monitors(config: EngineConfig, assembly: Assembly) -> Monitors:
    """The fork server, to be entered, and the log drivers that its monitors may be asked for."""
    drivers = {one.component.name: one.component.target for one in assembly.of("logs")}
    drivers[TO_PLUGIN] = "moby.logs.drivers.plugin:PluginLog"
    return Monitors(Path(config.exec_root, "monitor"), drivers)
