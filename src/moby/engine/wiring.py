"""This file is about the engine as a whole: every service, made of the components of an assembly.

The only file that names every service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from moby.core.config import ConfigSource
from moby.core.images import ImageStore
from moby.core.logs import LogDriver
from moby.core.networks import Networks
from moby.core.runtime import Runtime
from moby.core.store import Store
from moby.core.volumes import VolumeDriver
from moby.engine.config import EngineConfig
from moby.engine.containers.attach import Attacher
from moby.engine.containers.change import Changer
from moby.engine.containers.create import Creator
from moby.engine.containers.exits import Exits
from moby.engine.containers.image_users import image_users
from moby.engine.containers.inspect import Inspector
from moby.engine.containers.launch import Launcher
from moby.engine.containers.listing import Lister
from moby.engine.containers.logs import LogDrivers, LogService
from moby.engine.containers.reconcile import Reconciler
from moby.engine.containers.remove import Remover
from moby.engine.containers.restarts import Restarts
from moby.engine.containers.service import Containers, ContainerStreams, Verbs
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.start import Starter
from moby.engine.containers.stop import Stopper
from moby.engine.containers.volumes import MountPlanner
from moby.engine.events import Events
from moby.engine.images.runnable import RunnableImages
from moby.engine.images.service import ImageService
from moby.engine.images.settings import registry_config
from moby.engine.images.transfers import ImageTransfers
from moby.engine.networks import NetworkService
from moby.engine.system import Inventory, SystemService
from moby.engine.usage import DiskUsageService
from moby.engine.volumes import VolumeService
from moby.images.registry.client import Registries
from moby.monitor.client import Monitors
from moby.volumes.service import Volumes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Components:
    """What an engine is made of."""

    config: ConfigSource[EngineConfig]
    store: Store
    images: ImageStore
    runtime: Runtime
    networks: Networks
    volumes: Mapping[str, VolumeDriver]
    logs: Mapping[str, LogDriver]
    monitors: Monitors
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class Engine:
    """The services, as the API serves them and as others embed them."""

    containers: Containers
    container_streams: ContainerStreams
    images: ImageService
    transfers: ImageTransfers
    networks: NetworkService
    volumes: VolumeService
    system: SystemService
    stopper: Stopper
    restarts: Restarts


@asynccontextmanager
async def engine(parts: Components) -> AsyncIterator[Engine]:
    """A running engine: what was stored is taken back in and agrees with what runs when this begins."""
    config, runtime, networks = parts.config, parts.runtime, parts.networks
    directory = Path(config.current.data_root, "containers")
    directory.mkdir(mode=0o710, parents=True, exist_ok=True)
    snapshotter = parts.images.snapshotter
    events = Events()
    shelf = Shelf(parts.store, events)
    volumes = Volumes(parts.volumes, parts.store)
    drivers = LogDrivers(parts.logs)
    images = ImageService(parts.images, events, lambda: image_users(shelf.index))
    registries = Registries(lambda: registry_config(config.current))
    transfers = ImageTransfers(parts.images, registries, images)
    runnable = RunnableImages(images, transfers)
    planner = MountPlanner(shelf.index, volumes, snapshotter)
    exits = Exits(shelf, runtime, networks, volumes)
    stopper = Stopper(shelf, runtime, config)
    remover = Remover(shelf, stopper, exits, planner, snapshotter, directory)
    changer = Changer(shelf, runtime)
    logs = LogService(shelf, drivers, directory)
    run = Path(config.current.exec_root, "containers")
    launcher = Launcher(shelf.index, volumes, snapshotter, config, directory, run)
    lister = Lister(shelf, runnable, snapshotter)
    verbs = Verbs(
        creator=Creator(shelf, runnable, planner, networks, snapshotter, drivers, config, directory),
        starter=Starter(
            shelf, runtime, networks, snapshotter, parts.monitors, launcher, directory, remover.auto_remove
        ),
        stopper=stopper,
        remover=remover,
        changer=changer,
        inspector=Inspector(shelf, snapshotter, directory),
        lister=lister,
    )
    await volumes.load()
    await shelf.load()
    reconciler = Reconciler(shelf, runtime, networks, parts.monitors, exits, remover)
    restarts = Restarts(shelf, verbs.starter, remover)
    await reconciler.at_start()
    usage = DiskUsageService(lister, images, volumes, snapshotter)
    async with registries, transfers, asyncio.TaskGroup() as group:
        watch = group.create_task(exits.watch(group, reconciler.resynchronise, restarts.after_exit))
        group.create_task(restarts.at_start())
        yield Engine(
            containers=Containers(verbs),
            container_streams=ContainerStreams(shelf, logs, Attacher(shelf, logs), changer),
            images=images,
            transfers=transfers,
            networks=NetworkService(networks, shelf.index),
            volumes=VolumeService(volumes, events),
            system=SystemService(config, parts.inventory, shelf.index, events, images.count, usage),
            stopper=stopper,
            restarts=restarts,
        )
        restarts.stopping = True
        watch.cancel()
