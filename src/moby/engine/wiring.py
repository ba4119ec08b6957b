"""This file is about the engine as a whole: every service, made of the components of an assembly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from moby.engine.build_cache import BuildCache
from moby.engine.components import Components
from moby.engine.containers.archive import Archiver
from moby.engine.containers.checkpoints import Checkpoints
from moby.engine.containers.commit import CommitService
from moby.engine.containers.connecting import Connections
from moby.engine.containers.image_users import image_users
from moby.engine.containers.name_files import NameFiles
from moby.engine.containers.restarts import Restarts
from moby.engine.containers.service import ContainerChanges, Containers, ContainerStreams
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.stats import Stats
from moby.engine.containers.stop import Stopper
from moby.engine.containers.wiring import container_services
from moby.engine.event_journal import EventJournal
from moby.engine.events import Events
from moby.engine.execs.service import Execs
from moby.engine.images.runnable import RunnableImages
from moby.engine.images.service import ImageService
from moby.engine.images.settings import registry_config
from moby.engine.images.transfers import ImageTransfers
from moby.engine.networks import NetworkService
from moby.engine.reloading import announce_reloads
from moby.engine.system import SystemService
from moby.engine.usage import DiskUsageService
from moby.engine.volume_transfers import VolumeTransferService
from moby.engine.volumes import VolumeService
from moby.images.lasting import Lasting
from moby.images.registry.client import Registries
from moby.plugins.authorization import AuthorizationPlugins
from moby.volumes.service import Volumes

log = logging.getLogger(__name__)


class Engine(msgspec.Struct, frozen=True):
    """The services, as the API serves them and as others embed them."""

    containers: Containers
    container_streams: ContainerStreams
    container_changes: ContainerChanges
    checkpoints: Checkpoints
    stats: Stats
    execs: Execs
    archives: Archiver
    commits: CommitService
    images: ImageService
    transfers: ImageTransfers
    networks: NetworkService
    volumes: VolumeService
    volume_transfers: VolumeTransferService
    build_cache: BuildCache
    system: SystemService
    stopper: Stopper
    restarts: Restarts
    authorizer: AuthorizationPlugins


@asynccontextmanager
async def engine(parts: Components) -> AsyncIterator[Engine]:
    """A running engine: what was stored is taken back in and agrees with what runs when this begins."""
    config = parts.config
    with EventJournal(Path(config.current.data_root, "events")) as journal:
        async with _engine(parts, Events(journal)) as made:
            yield made


@asynccontextmanager
async def _engine(parts: Components, events: Events) -> AsyncIterator[Engine]:
    config = parts.config
    announce_reloads(config, events, parts.inventory, parts.plugins)
    shelf = Shelf(parts.store, events)
    volumes = Volumes(parts.volumes, parts.store, events, parts.plugins)
    images = ImageService(parts.images, events, lambda: image_users(shelf.index))
    registries = Registries(lambda: registry_config(config.current))
    lasting = Lasting(parts.images.snapshotter, Path(config.current.data_root, "unpacked.json"))
    transfers = ImageTransfers(parts.images, registries, images, lasting)
    made = container_services(parts, shelf, volumes, RunnableImages(images, transfers), transfers)
    await lasting.at_start()
    await volumes.load()
    await shelf.load()
    await made.reconciler.at_start()
    files = NameFiles(shelf.index, config, Path(config.current.data_root, "containers"))
    connections = Connections(shelf, parts.networks, files)
    usage = DiskUsageService(made.lister, images, volumes, parts.images.snapshotter)
    async with registries, transfers, asyncio.TaskGroup() as group:
        loops = [group.create_task(loop(group)) for loop in made.loops]
        loops.append(group.create_task(lasting.run()))
        yield Engine(
            containers=made.containers,
            container_streams=made.streams,
            container_changes=made.changes,
            checkpoints=made.checkpoints,
            stats=made.stats,
            execs=made.execs,
            archives=made.archives,
            commits=made.commits,
            images=images,
            transfers=transfers,
            networks=NetworkService(parts.networks, shelf.index, connections, events, config),
            volumes=VolumeService(volumes, events),
            volume_transfers=VolumeTransferService(volumes, shelf.index),
            build_cache=BuildCache(events),
            system=SystemService(
                config, parts.inventory, shelf.index, events, images.count, usage, parts.plugins
            ),
            stopper=made.stopper,
            restarts=made.restarts,
            authorizer=AuthorizationPlugins(parts.plugins, lambda: config.current.authorization_plugins),
        )
        made.restarts.stopping = True
        for loop in loops:
            loop.cancel()
    await made.deletions.finish()
