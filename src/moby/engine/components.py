"""This file is about what an engine is made of: the components of an assembly."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from moby.core.config import ConfigSource
from moby.core.images import ImageStore
from moby.core.logs import LogDriver
from moby.core.networks import Networks
from moby.core.plugins import Plugins
from moby.core.runtime import Runtime
from moby.core.store import Store
from moby.core.volumes import VolumeDriver
from moby.engine.config import EngineConfig
from moby.engine.system import Inventory
from moby.monitor.client import Monitors


class Components(msgspec.Struct, frozen=True):
    """What an engine is made of."""

    config: ConfigSource[EngineConfig]
    store: Store
    images: ImageStore
    runtime: Runtime
    networks: Networks
    volumes: Mapping[str, VolumeDriver]
    logs: Mapping[str, LogDriver]
    monitors: Monitors
    plugins: Plugins
    inventory: Inventory
