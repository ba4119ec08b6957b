"""This file is about the engine itself: what it is, what its host can, what it uses, what happens in it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from moby import __version__
from moby.core.config import ConfigSource
from moby.core.events import Event
from moby.core.filters import Filters
from moby.core.platform import host_platform
from moby.core.plugins import Plugins
from moby.core.types.registries import IndexInfo, RegistryConfig
from moby.core.types.system import (
    AddressPool,
    Commit,
    ComponentVersion,
    ContainerdInfo,
    ContainerdNamespaces,
    DeviceInfo,
    DiskUsage,
    FirewallInfo,
    Info,
    PlatformInfo,
    PluginsInfo,
    RuntimeInfo,
    Version,
)
from moby.engine.build import build
from moby.engine.config import EngineConfig
from moby.engine.containers.index import Index
from moby.engine.event_matching import event_matches
from moby.engine.events import Events
from moby.engine.images.settings import masked, registry_config
from moby.engine.machine_facts import machine_facts
from moby.engine.programs import Edition, Programs, init_program
from moby.engine.runtimes import USUAL
from moby.engine.usage import DiskUsageService
from moby.engine.warnings import warnings
from moby.host.cgroups import CgroupFacts
from moby.host.threads import blocking
from moby.runtime.cdi import CDI_DIRECTORIES, device_names

_FEATURES = "org.opencontainers.runtime-spec.features"


class Inventory(msgspec.Struct, frozen=True):
    """What this engine was assembled from."""

    id: str
    snapshotter: str
    volumes: Sequence[str]
    networks: Sequence[str]
    logs: Sequence[str]
    runtimes: Mapping[str, str]
    default_runtime: str
    cgroups: CgroupFacts
    containerd: str = ""
    containerd_edition: Edition | None = None
    warnings: Sequence[str] = ()


class SystemService:
    """Tells of the engine and its host."""

    def __init__(
        self,
        config: ConfigSource[EngineConfig],
        inventory: Inventory,
        index: Index,
        events: Events,
        images: Callable[[], Awaitable[int]],
        usage: DiskUsageService,
        plugins: Plugins,
    ) -> None:
        self._plugins = plugins
        self._config = config
        self._inventory = inventory
        self._index = index
        self._events = events
        self._count_images = images
        self._usage = usage
        self._programs = Programs()

    async def info(self) -> Info:
        """The engine and its host; the answer is the caller's to change."""
        config, parts, machine = self._config.current, self._inventory, machine_facts()
        proxies, cgroups = registry_config(config), parts.cgroups
        running, paused = self._counts()
        forwarding = _forwarding()
        runtime, init = await self._started_programs()
        return Info(
            id=parts.id,
            containers=len(self._index),
            containers_running=running,
            containers_paused=paused,
            containers_stopped=len(self._index) - running - paused,
            images=await self._count_images(),
            driver=parts.snapshotter,
            driver_status=[("driver-type", "io.containerd.snapshotter.v1")],
            plugins=self._drivers(config),
            **_limits(cgroups),
            ipv4_forwarding=forwarding,
            debug=config.debug,
            n_fd=len(os.listdir("/proc/self/fd")),
            n_goroutines=len(asyncio.all_tasks()),
            n_events_listener=len(self._events),
            system_time=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            logging_driver=config.log_driver,
            cgroup_driver="cgroupfs",
            cgroup_version=str(cgroups.version),
            kernel_version=machine.kernel,
            operating_system=machine.operating_system,
            os_version=machine.os_version,
            architecture=machine.architecture,
            registry_config=_registries(config),
            ncpu=machine.cpus,
            mem_total=machine.memory,
            docker_root_dir=config.data_root,
            name=machine.name,
            labels=list(config.labels),
            experimental_build=config.experimental,
            server_version=__version__,
            runtimes={name: await self._runtime(name, path) for name, path in parts.runtimes.items()},
            default_runtime=config.default_runtime or USUAL,
            live_restore_enabled=config.live_restore,
            containerd_commit=_commit(parts.containerd_edition),
            http_proxy=masked(proxies.http_proxy),
            https_proxy=masked(proxies.https_proxy),
            no_proxy=proxies.no_proxy,
            runc_commit=_commit(runtime),
            init_commit=_commit(init),
            init_binary=config.init_path or "docker-init",
            security_options=_security_options(config, unified=cgroups.version == 2),
            default_address_pools=[
                AddressPool(base=pool["base"], size=pool["size"]) for pool in config.default_address_pools
            ],
            cdi_spec_dirs=list(config.cdi_spec_dirs or CDI_DIRECTORIES),
            discovered_devices=await blocking(_devices, config),
            firewall_backend=FirewallInfo(driver="nftables"),
            containerd=_containerd(parts, config),
            warnings=[*parts.warnings, *warnings(config, cgroups, forwarding=forwarding)] or None,
        )

    async def _started_programs(self) -> tuple[Edition | None, Edition | None]:
        """The runtime for containers that name none, and the init program."""
        path = self._inventory.runtimes.get(self._inventory.default_runtime, "")
        runtime = await self._programs.edition(path)
        found = init_program(self._config.current)
        init = await self._programs.edition(found) if found else None
        # It is known by its file's name, whatever it calls itself.
        if found and init:
            init = msgspec.structs.replace(init, name=os.path.basename(found))
        return runtime, init

    async def _runtime(self, name: str, path: str) -> RuntimeInfo:
        """A runtime, and what it says that it can."""
        entry = self._config.current.runtimes.get(name)
        features = await self._programs.features(path) if path else None
        return RuntimeInfo(
            path=entry.path if entry else path,
            args=list(entry.runtime_args) if entry else [],
            status={_FEATURES: features} if features else {},
        )

    def _drivers(self, config: EngineConfig) -> PluginsInfo:
        """The drivers that are there, and the plugins that have been used."""
        parts, active = self._inventory, self._plugins.active
        return PluginsInfo(
            volume=sorted({*parts.volumes, *active("VolumeDriver")}),
            network=sorted({*parts.networks, *active("NetworkDriver")}),
            authorization=list(dict.fromkeys(config.authorization_plugins)) or None,
            # Nobody has to provide what does nothing.
            log=sorted({*parts.logs, *active("LogDriver")} - {"none"}),
        )

    def _counts(self) -> tuple[int, int]:
        """How many containers run, and how many are paused."""
        states = [container.record.state for container in self._index]
        paused = sum(state.paused for state in states)
        return sum(state.running for state in states) - paused, paused

    async def version(self) -> Version:
        """What it is; the API fills its own versions in."""
        machine, platform, built = machine_facts(), host_platform(), build()
        details = {
            "Os": platform.os,
            "Arch": platform.architecture,
            "KernelVersion": machine.kernel,
            "GitCommit": built.commit,
            "GoVersion": f"python{sys.version.partition(' ')[0]}",
            "BuildTime": built.time,
            "Experimental": str(self._config.current.experimental).lower(),
        }
        others = [self._inventory.containerd_edition, *await self._started_programs()]
        return Version(
            platform=PlatformInfo("Moby Origin"),
            version=__version__,
            os=platform.os,
            arch=platform.architecture,
            kernel_version=machine.kernel,
            git_commit=built.commit,
            go_version=details["GoVersion"],
            build_time=built.time,
            experimental=self._config.current.experimental,
            components=[
                ComponentVersion("Engine", __version__, details),
                *(
                    ComponentVersion(one.name, one.version, {"GitCommit": one.commit})
                    for one in others
                    if one
                ),
            ],
        )

    async def disk_usage(self, kinds: Collection[str], *, verbose: bool) -> DiskUsage:
        """See `DiskUsageService.disk_usage`."""
        return await self._usage.disk_usage(kinds, verbose=verbose)

    def events(self, *, since_ns: int | None, until_ns: int | None, filters: Filters) -> AsyncIterator[Event]:
        """What happens, as far as the filters let it through."""
        return _filtered(self._events.listen(since_ns=since_ns, until_ns=until_ns), filters)


async def _filtered(events: AsyncIterator[Event], filters: Filters) -> AsyncIterator[Event]:
    async for event in events:
        if event_matches(event, filters):
            yield event


def _limits(cgroups: CgroupFacts) -> dict[str, Any]:
    return {
        "memory_limit": cgroups.memory_limit,
        "swap_limit": cgroups.swap_limit,
        "cpu_cfs_period": cgroups.cpu_cfs_period,
        "cpu_cfs_quota": cgroups.cpu_cfs_quota,
        "cpu_shares": cgroups.cpu_shares,
        "cpu_set": cgroups.cpuset,
        "pids_limit": cgroups.pids_limit,
        "oom_kill_disable": cgroups.oom_kill_disable,
    }


def _commit(edition: Edition | None) -> Commit:
    return Commit(id=edition.commit if edition else "N/A")


def _registries(config: EngineConfig) -> RegistryConfig:
    mirrors = [f"{mirror.rstrip('/')}/" for mirror in config.registry_mirrors]
    ranges = [entry for entry in config.insecure_registries if "/" in entry]
    official = IndexInfo(name="docker.io", mirrors=mirrors, official=True)
    named = {
        entry: IndexInfo(name=entry, secure=False) for entry in config.insecure_registries if "/" not in entry
    }
    return RegistryConfig(
        insecure_registry_cidrs=["::1/128", "127.0.0.0/8", *ranges],
        index_configs={"docker.io": official, **named},
        mirrors=mirrors,
    )


def _forwarding() -> bool:
    try:
        with open("/proc/sys/net/ipv4/ip_forward", "rb") as file:
            return file.read().strip() == b"1"
    except OSError:
        return False


def _devices(config: EngineConfig) -> list[DeviceInfo]:
    return [DeviceInfo(source="cdi", id=name) for name in device_names(config.cdi_spec_dirs)]


def _containerd(parts: Inventory, config: EngineConfig) -> ContainerdInfo:
    namespaces = ContainerdNamespaces(config.containerd_namespace, config.containerd_plugins_namespace)
    return ContainerdInfo(address=parts.containerd, namespaces=namespaces)


def _security_options(config: EngineConfig, *, unified: bool) -> list[str]:
    found = [f"name=seccomp,profile={config.seccomp_profile or 'builtin'}"]
    if config.default_cgroupns_mode == "private" or (unified and not config.default_cgroupns_mode):
        found.append("name=cgroupns")
    if config.userns_remap:
        found.append("name=userns")
    if config.no_new_privileges:
        found.append("name=no-new-privileges")
    return found
