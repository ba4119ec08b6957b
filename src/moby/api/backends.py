"""This file is about what the whole API asks of an engine: one service a module of routes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moby.api.routes.archives import ArchiveRoutes, Archives
from moby.api.routes.build_cache import BuildCache, BuildCacheRoutes
from moby.api.routes.checkpoints import CheckpointRoutes, Checkpoints
from moby.api.routes.commits import CommitRoutes, Commits
from moby.api.routes.container_changes import ContainerChangeRoutes, ContainerChanges
from moby.api.routes.container_stats import ContainerStatsRoutes, Statistics
from moby.api.routes.container_streams import ContainerStreamRoutes, ContainerStreams
from moby.api.routes.containers import ContainerRoutes, Containers
from moby.api.routes.execs import ExecRoutes, Execs
from moby.api.routes.image_transfers import TransferRoutes, Transfers
from moby.api.routes.images import ImageRoutes, Images
from moby.api.routes.managed_plugins import ManagedPluginRoutes
from moby.api.routes.networks import NetworkRoutes, Networks
from moby.api.routes.swarm import SwarmRoutes
from moby.api.routes.system import System, SystemRoutes
from moby.api.routes.volume_transfers import VolumeTransferRoutes, VolumeTransfers
from moby.api.routes.volumes import VolumeRoutes, Volumes
from moby.api.routing import Route


class Backends(msgspec.Struct, frozen=True):
    """An engine, as the API sees it."""

    containers: Containers
    container_streams: ContainerStreams
    container_changes: ContainerChanges
    checkpoints: Checkpoints
    stats: Statistics
    execs: Execs
    archives: Archives
    commits: Commits
    images: Images
    transfers: Transfers
    networks: Networks
    volumes: Volumes
    volume_transfers: VolumeTransfers
    build_cache: BuildCache
    system: System

    def routes(self) -> Sequence[Route]:
        """Every route that is served."""
        return [
            *ContainerRoutes(self.containers).routes(),
            *ContainerChangeRoutes(self.container_changes).routes(),
            *CheckpointRoutes(self.checkpoints).routes(),
            *ContainerStatsRoutes(self.stats).routes(),
            *ContainerStreamRoutes(self.container_streams).routes(),
            *ArchiveRoutes(self.archives).routes(),
            *CommitRoutes(self.commits).routes(),
            *ExecRoutes(self.execs).routes(),
            *ImageRoutes(self.images).routes(),
            *TransferRoutes(self.transfers).routes(),
            *NetworkRoutes(self.networks).routes(),
            *VolumeRoutes(self.volumes).routes(),
            *VolumeTransferRoutes(self.volume_transfers).routes(),
            *BuildCacheRoutes(self.build_cache).routes(),
            *SystemRoutes(self.system).routes(),
            *ManagedPluginRoutes().routes(),
            *SwarmRoutes().routes(),
        ]
