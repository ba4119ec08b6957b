"""This file is about `docker inspect`: everything that is known of one container."""

from __future__ import annotations

from pathlib import Path

import msgspec

from moby.core.config import ConfigSource
from moby.core.snapshots import Snapshotter
from moby.core.types.containers import (
    ContainerInspectResponse,
    ContainerState,
    HostConfig,
    NetworkSettings,
    RootFSStorage,
    RootFSStorageSnapshot,
    Storage,
    Ulimit,
)
from moby.engine.config import EngineConfig
from moby.engine.containers.container import Container
from moby.engine.containers.links import Links
from moby.engine.containers.shelf import Shelf
from moby.engine.execs.record import ExecShelf
from moby.runtime.spec import apparmor_profile, parse_security_options


class Inspector:
    """Describes one container."""

    def __init__(
        self,
        shelf: Shelf,
        snapshotter: Snapshotter,
        directory: Path,
        execs: ExecShelf,
        config: ConfigSource[EngineConfig],
    ) -> None:
        self._config = config
        self._shelf = shelf
        self._snapshotter = snapshotter
        self._directory = directory
        self._execs = execs

    async def inspect(self, name: str, *, size: bool = False) -> ContainerInspectResponse:
        """Raises NotFound. Sizes in bytes, only when asked for: they have to be counted."""
        container = self._shelf.find(name)
        response = self.describe(container)
        if size:
            written = (await self._snapshotter.usage(container.id)).size
            response.size_rw = written
            response.size_root_fs = written + await self._image_size(container.record.chain)
        return response

    def describe(self, container: Container) -> ContainerInspectResponse:
        """Everything but the sizes."""
        record = container.record
        own = self._directory / record.id
        host = record.host_config
        links = Links(self._shelf.index, self._directory).shown(record) if record.links else None
        asked = parse_security_options(host.security_opt).apparmor
        log_path = own / f"{record.id}-json.log" if record.log_config.type == "json-file" else ""
        return ContainerInspectResponse(
            id=record.id,
            created=record.created,
            path=record.path,
            args=list(record.args),
            state=_state(container),
            image=record.image,
            resolv_conf_path=str(own / "resolv.conf") if container.ever_started else "",
            hostname_path=str(own / "hostname") if container.ever_started else "",
            hosts_path=str(own / "hosts") if container.ever_started else "",
            log_path=str(log_path) if container.ever_started else "",
            name=f"/{record.name}",
            restart_count=record.restart_count,
            driver=self._snapshotter.name,
            platform=record.platform.partition("/")[0],
            exec_ids=self._execs.running(record.id) or None,
            app_armor_profile=apparmor_profile(asked, privileged=host.privileged),
            host_config=msgspec.structs.replace(host, links=links, ulimits=self._ulimits(host)),
            config=record.config,
            network_settings=NetworkSettings(
                sandbox_id=record.sandbox_id,
                sandbox_key=record.sandbox_key,
                ports=record.ports,
                networks=record.networks,
            ),
            mounts=[mount.point for mount in record.mounts],
            image_manifest_descriptor=record.manifest,
            storage=Storage(
                root_fs=RootFSStorage(snapshot=RootFSStorageSnapshot(name=self._snapshotter.name))
            ),
        )

    def _ulimits(self, host: HostConfig) -> list[Ulimit] | None:
        """The container's own limits, and the daemon's beside them."""
        own = list(host.ulimits or ())
        names = {limit.name for limit in own}
        usual = self._config.current.default_ulimits
        return [*own, *(usual[name] for name in usual if name not in names)] or host.ulimits

    async def _image_size(self, chain: str) -> int:
        total = 0
        while chain:
            total += (await self._snapshotter.usage(chain)).size
            chain = (await self._snapshotter.info(chain)).parent
        return total


def _state(container: Container) -> ContainerState:
    state = container.record.state
    return ContainerState(
        status=container.status,
        running=state.running,
        paused=state.paused,
        restarting=state.restarting,
        oom_killed=state.oom_killed,
        dead=state.dead,
        pid=state.pid,
        exit_code=state.exit_code,
        error=state.error,
        started_at=state.started_at,
        finished_at=state.finished_at,
        health=container.health,
    )
