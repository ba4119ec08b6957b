"""This file is about `docker create`: from a request to a container that can be started."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

import msgspec

from moby.core.config import ConfigSource
from moby.core.descriptor import Descriptor
from moby.core.errors import Conflict, InvalidParameter, NotFound
from moby.core.networks import Networks
from moby.core.types.containers import (
    ContainerConfig,
    ContainerCreateRequest,
    ContainerCreateResponse,
    HostConfig,
)
from moby.core.undo import Undo
from moby.engine.config import EngineConfig
from moby.engine.containers.checks import check_config, check_exposed, check_host_config
from moby.engine.containers.conflicts import check_conflicts
from moby.engine.containers.container import Container
from moby.engine.containers.joining import name_joined
from moby.engine.containers.links import Links
from moby.engine.containers.logs import LogDrivers
from moby.engine.containers.merging import command_line, fill_defaults, merge_image
from moby.engine.containers.mount_specs import shallow
from moby.engine.containers.names import check_name, random_name
from moby.engine.containers.networking import named, network_names
from moby.engine.containers.record import Record, timestamp
from moby.engine.containers.roots import Roots
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.volumes import MountPlanner
from moby.host.cgroups import cgroup_facts
from moby.runtime.spec import DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS, normalize_capabilities


class RunnableImage(msgspec.Struct, frozen=True):
    """What a container needs to know of its image; `id` is the digest of what its name points to."""

    id: str
    config: ContainerConfig
    chain: str
    platform: str
    manifest: Descriptor


class Images(Protocol):
    """Where images come from."""

    async def runnable(self, name: str, platform: str | None) -> RunnableImage:
        """Raises NotFound (`No such image: NAME`)."""
        ...

    async def ids(self, name: str) -> frozenset[str]:
        """The IDs of the images that a name or ID means; empty if none."""
        ...


class Creator:
    """Makes containers."""

    def __init__(
        self,
        shelf: Shelf,
        images: Images,
        mounts: MountPlanner,
        networks: Networks,
        roots: Roots,
        logs: LogDrivers,
        config: ConfigSource[EngineConfig],
        directory: Path,
    ) -> None:
        self._shelf = shelf
        self._images = images
        self._mounts = mounts
        self._networks = networks
        self._roots = roots
        self._logs = logs
        self._config = config
        self._directory = directory

    async def create(
        self,
        name: str,
        request: ContainerCreateRequest,
        platform: str | None = None,
        *,
        shallow_read_only: bool = False,
    ) -> ContainerCreateResponse:
        """A new container, on disk when this returns; if anything fails no part of one is left.

        `shallow_read_only` is what older clients expect of read-only binds.
        """
        settings = self._config.current
        config, host = request.config(), request.host_config or HostConfig()
        warnings = self._check(config, host, settings)
        async with Undo() as undo:
            container_id = os.urandom(32).hex()
            chosen = self._reserve(name, container_id)
            undo.push(self._shelf.index.release, chosen, container_id)
            image = await self._images.runnable(config.image, platform)
            merge_image(config, image.config)
            if host.publish_all_ports:
                check_exposed(config.exposed_ports)
            path, args = command_line(config)
            fill_defaults(host, settings, unified_cgroups=cgroup_facts().version == 2)
            name_joined(host, self._shelf.index)
            await self._logs.check(host.log_config.type, host.log_config.config or {})
            _fill_identity(config, host, container_id)
            record = Record(
                id=container_id,
                name=chosen,
                created=timestamp(),
                config=config,
                host_config=host,
                image=image.id,
                chain=image.chain,
                platform=image.platform,
                path=path,
                args=args,
                manifest=image.manifest,
                networks=dict(network_names(host, request.networking_config)),
                links=Links(self._shelf.index, self._directory).resolve(host),
            )
            if config.network_disabled:
                record.networks = {}
            await self._find_networks(record)
            undo.push(self._roots.remove, container_id)
            await self._roots.prepare(container_id, host, image.chain, image.manifest)
            mounts = await self._mounts.plan(record, undo, settings.data_root)
            record.mounts = shallow(mounts) if shallow_read_only else mounts
            await self._mounts.fill(record)
            container = Container(record)
            # Whoever finds it from now on waits until it is on disk: a removal must not come before that.
            async with container.lock:
                self._shelf.index.add(container)
                undo.push(self._shelf.index.remove, container)
                (self._directory / container_id).mkdir(mode=0o710)
                undo.push(os.rmdir, self._directory / container_id)
                # A write that is cancelled may be on disk all the same.
                undo.push(self._shelf.forget, container)
                await self._shelf.save(container)
                undo.keep()
        self._shelf.publish(container, "create")
        return ContainerCreateResponse(id=container_id, warnings=list(warnings))

    def _check(self, config: ContainerConfig, host: HostConfig, settings: EngineConfig) -> list[str]:
        check_config(config)
        warnings = check_host_config(host, cgroup_facts())
        check_conflicts(config, host, settings)
        return [*warnings, *self._check_capabilities(host)]

    def _reserve(self, name: str, container: str) -> str:
        if name:
            chosen = check_name(name)
            self._shelf.index.reserve(chosen, container)
            return chosen
        for attempt in range(100):
            chosen = random_name(attempt)
            with contextlib.suppress(Conflict):
                self._shelf.index.reserve(chosen, container)
                return chosen
        self._shelf.index.reserve(container[:12], container)
        return container[:12]

    async def _find_networks(self, record: Record) -> None:
        """What does not exist, network or container, is an error at start and not here, as dockerd has it."""
        mode = record.host_config.network_mode
        if mode.startswith("container:"):
            with contextlib.suppress(NotFound):
                target = self._shelf.find(mode.partition(":")[2])
                record.host_config.network_mode = f"container:{target.id}"
            return
        found = {}
        for name in record.networks:
            try:
                found[name] = await self._networks.find(name)
            except NotFound:
                continue
        named(record, found)

    def _check_capabilities(self, host: HostConfig) -> list[str]:
        for field, words in (("CapAdd", host.cap_add), ("CapDrop", host.cap_drop)):
            try:
                normalize_capabilities(words or ())
            except InvalidParameter as error:
                raise InvalidParameter(f"invalid {field}: {error.message}") from error
        warnings = []
        if host.network_mode == "host" and host.port_bindings:
            warnings.append("Published ports are discarded when using host network mode")
        return warnings


def _fill_identity(config: ContainerConfig, host: HostConfig, container: str) -> None:
    if not config.hostname:
        config.hostname = os.uname().nodename if host.network_mode == "host" else container[:12]
    if host.masked_paths is None and not host.privileged:
        host.masked_paths = list(DEFAULT_MASKED_PATHS)
    if host.readonly_paths is None and not host.privileged:
        host.readonly_paths = list(DEFAULT_READONLY_PATHS)
