"""This file is about what a container needs to start: its own files, its user, its mounts, its spec."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from moby.core.config import ConfigSource
from moby.core.errors import InvalidParameter, MobyError, NotFound, System
from moby.core.idmaps import IdMap
from moby.core.networks import Networks, Sandbox
from moby.core.snapshots import Mount
from moby.core.types.containers import HostConfig
from moby.core.undo import Undo
from moby.engine.config import EngineConfig
from moby.engine.containers.accounts import read_accounts
from moby.engine.containers.binds import Binder
from moby.engine.containers.index import Index
from moby.engine.containers.joining import SHARED_MEMORY, Joiner, donors
from moby.engine.containers.links import Links
from moby.engine.containers.name_files import NameFiles
from moby.engine.containers.networking import host_gateways
from moby.engine.containers.places import Places
from moby.engine.containers.record import Record
from moby.engine.programs import init_program
from moby.engine.userns import container_ids
from moby.host.cgroups import Moves
from moby.host.mounts import mounted
from moby.host.threads import blocking
from moby.runtime.cdi import CDI_DIRECTORIES, inject_devices
from moby.runtime.spec import BUILTIN, UNCONFINED, Bind, SpecInput, User, build_spec, resolve_user

_CACHED_IMAGES = 64
_INIT = "/sbin/docker-init"


class Unprepared(System):
    """A container cannot be made: found before the runtime was asked to."""


class Launcher:
    """Prepares what the runtime is given."""

    def __init__(
        self,
        index: Index,
        binder: Binder,
        places: Places,
        networks: Networks,
        config: ConfigSource[EngineConfig],
        directory: Path,
        run_directory: Path,
        moves: Moves,
    ) -> None:
        self._index = index
        self._binder = binder
        self._places = places
        self._networks = networks
        self._joiner = Joiner(index, places)
        self._links = Links(index, directory)
        self._files = NameFiles(index, config, directory)
        self._config = config
        self._directory = directory
        self._run_directory = run_directory
        self._moves = moves
        self._accounts: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()

    def expect(self) -> None:
        """A container is about to be made."""
        self._moves.expect()

    @property
    def dns(self) -> Sequence[str]:
        """The name servers of containers that name none themselves; none means the host's."""
        return self._config.current.dns

    @property
    def bridgeless(self) -> bool:
        """Whether there is no default bridge: containers that want it start with nothing but a loopback."""
        return self._config.current.bridge == "none"

    def has_ndots(self, record: Record) -> bool:
        """See `NameFiles.has_ndots`."""
        return self._files.has_ndots(record.host_config)

    def ids(self, host: HostConfig) -> IdMap:
        """See `container_ids`."""
        return container_ids(self._config.current, host)

    def run_directory(self, container: str) -> Path:
        """Where a running container's FIFOs are."""
        return self._run_directory / container

    async def spec(
        self, record: Record, sandbox: Sandbox, rootfs: tuple[Mount, ...], undo: Undo
    ) -> Mapping[str, Any]:
        """The container's runtime spec, its volumes mounted and its files written.

        `release` has to be called when the runtime has taken over what the spec names. Raises Unprepared.
        """
        try:
            return await self._spec(record, sandbox, rootfs, undo)
        except MobyError as error:
            raise Unprepared(error.message, hint=error.hint) from error

    async def release(self, record: Record) -> None:
        """The container has been made: let go of what was mounted for that alone."""
        if record.mounts:
            await self._places.release(record.id)
        if owners := self._links.owners(record):
            await blocking(self._links.moved, record, owners)

    async def _spec(
        self, record: Record, sandbox: Sandbox, rootfs: tuple[Mount, ...], undo: Undo
    ) -> Mapping[str, Any]:
        settings, ids = self._config.current, self.ids(record.host_config)
        binds = await self._binder.binds(record, undo) if record.mounts else []
        if (memory := await self._joiner.memory(record)) is not None:
            undo.push(self._places.free, record.id)
            binds.append(Bind(str(memory), SHARED_MEMORY))
        self._take_name(record)
        user = await self._user(record, rootfs)
        own = await blocking(self._files.write, record, sandbox, await host_gateways(self._networks))
        args = [record.path, *record.args]
        if (path := _init(record, settings)) is not None:
            binds.append(Bind(path, _INIT, writable=False))
            args = [_INIT, "--", *args]
        taken = {bind.target for bind in binds}
        spec = build_spec(
            SpecInput(
                id=record.id,
                args=args,
                config=record.config,
                host=record.host_config,
                user=user,
                network=self._network(record, sandbox),
                binds=[*(bind for bind in own if bind.target not in taken), *binds],
                tmpfs=_tmpfs(record),
                ipc=self._joiner.ipc(record),
                pid=self._joiner.pid(record),
                cgroup_parent=settings.cgroup_parent or "/docker",
                default_ulimits=list(settings.default_ulimits.values()),
                no_new_privileges=settings.no_new_privileges,
                seccomp=await _daemon_profile(settings.seccomp_profile),
                environment=self._links.environment(record),
                ids=ids,
                user_namespace=self.joined_users(record) or sandbox.users if ids else "",
            )
        )
        if requests := record.host_config.device_requests:
            await blocking(inject_devices, spec, requests, settings.cdi_spec_dirs or CDI_DIRECTORIES)
        return spec

    def _take_name(self, record: Record) -> None:
        """A container on another one's network has that one's name."""
        if record.host_config.network_mode.startswith("container:"):
            other = self._index.find(record.host_config.network_mode.partition(":")[2]).record.config
            record.config.hostname, record.config.domainname = other.hostname, other.domainname

    def joined_users(self, record: Record) -> str:
        """The user namespace of the container whose other ones it joins, which goes with them; or nothing."""
        for name in donors(record.host_config):
            with suppress(NotFound, InvalidParameter):
                if pid := self._index.find(name).record.state.pid:
                    return f"/proc/{pid}/ns/user"
        return ""

    def _network(self, record: Record, sandbox: Sandbox) -> str | None:
        if record.config.network_disabled:
            return None
        if record.host_config.network_mode.startswith("container:"):
            other = self._index.find(record.host_config.network_mode.partition(":")[2])
            return f"/proc/{other.record.state.pid}/ns/net"
        return sandbox.path

    async def _user(self, record: Record, rootfs: tuple[Mount, ...]) -> User:
        passwd, group = await self._account_files(record, rootfs)
        return resolve_user(record.config.user, passwd, group, record.host_config.group_add or ())

    async def _account_files(self, record: Record, rootfs: tuple[Mount, ...]) -> tuple[bytes, bytes]:
        """passwd and group; until a container was started once they are its image's, and those are kept."""
        if not record.started_before and (known := self._accounts.get(record.chain)) is not None:
            return known
        async with mounted(rootfs) as root:
            found = await blocking(read_accounts, root)
        if not record.started_before:
            self._accounts[record.chain] = found
            while len(self._accounts) > _CACHED_IMAGES:
                self._accounts.popitem(last=False)
        return found


async def _daemon_profile(setting: str) -> str:
    """The text of the seccomp profile that the settings name. Raises System."""
    if setting in ("", BUILTIN, UNCONFINED):
        return setting
    try:
        return await blocking(Path(setting).read_text)
    except (OSError, UnicodeDecodeError) as error:
        raise System(f"opening seccomp profile ({setting}) failed: {error}") from error


def _init(record: Record, settings: EngineConfig) -> str | None:
    """The init program on the host, if one is wanted and has anything to do. Raises NotFound without one."""
    host = record.host_config
    if host.pid_mode or not (settings.init if host.init is None else host.init):
        return None
    if found := init_program(settings):
        return found
    raise NotFound("docker-init: executable file not found in $PATH", hint="install tini, or set init-path")


def _tmpfs(record: Record) -> dict[str, list[str]]:
    found = {target: options.split(",") for target, options in record.host_config.tmpfs.items()}
    for mount in record.mounts:
        if mount.point.type == "tmpfs":
            found[mount.point.destination] = list(mount.tmpfs_options)
    return found
