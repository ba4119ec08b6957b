"""This file is about the fork server, which an engine starts while the rest of it is still being imported."""

from __future__ import annotations

from pathlib import Path

from moby.core.logs import TO_PLUGIN
from moby.engine.config import EngineConfig
from moby.framework.assembly import Assembly
from moby.monitor.client import Monitors


def monitors(config: EngineConfig, assembly: Assembly) -> Monitors:
    """The fork server, to be entered, and the log drivers that its monitors may be asked for."""
    drivers = {one.component.name: one.component.target for one in assembly.of("logs")}
    drivers[TO_PLUGIN] = "moby.logs.drivers.plugin:PluginLog"
    return Monitors(Path(config.exec_root, "monitor"), drivers)
