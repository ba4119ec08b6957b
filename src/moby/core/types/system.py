"""This file is about the engine itself in the Engine API: what it is, what it can, what it uses."""

from __future__ import annotations

from typing import Any

import msgspec

from moby.core.types.containers import ContainerSummary
from moby.core.types.images import ImageSummary
from moby.core.types.registries import RegistryConfig
from moby.core.types.volumes import Volume
from moby.core.types.wire import Wire, always, always_dict, always_list, omitted


class PlatformInfo(Wire):
    """The product."""

    name: str = always("")


class ComponentVersion(Wire):
    """A part of the engine."""

    name: str = always("")
    version: str = always("")
    details: dict[str, str] = msgspec.field(default_factory=dict)


class Version(Wire):
    """What the engine is and which API it speaks."""

    platform: PlatformInfo = msgspec.field(default_factory=PlatformInfo)
    version: str = always("")
    api_version: str = always("")
    min_api_version: str = omitted("", name="MinAPIVersion")
    os: str = always("linux")
    arch: str = always("")
    components: list[ComponentVersion] = msgspec.field(default_factory=list)
    git_commit: str = ""
    go_version: str = ""
    kernel_version: str = ""
    experimental: bool = False
    build_time: str = ""


class PluginsInfo(Wire):
    """The drivers that are there, by kind."""

    volume: list[str] = always_list()
    network: list[str] = always_list()
    authorization: list[str] | None = always(None)
    log: list[str] = always_list()


class Commit(Wire):
    """The version of a tool that the engine uses."""

    id: str = always("", name="ID")


class RuntimeInfo(msgspec.Struct, omit_defaults=True):
    """An OCI runtime."""

    path: str = ""
    args: list[str] = msgspec.field(default_factory=list, name="runtimeArgs")
    type: str = msgspec.field(default="", name="runtimeType")
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    status: dict[str, str] = msgspec.field(default_factory=dict)


class AddressPool(Wire):
    """Where networks get their subnets from; `size` is a prefix length."""

    base: str = always("")
    size: int = always(0)


class FirewallInfo(Wire):
    """What filters packets."""

    driver: str = always("")
    info: list[tuple[str, str]] = msgspec.field(default_factory=list)


class DeviceInfo(Wire):
    """A device that a driver found."""

    source: str = always("")
    id: str = always("", name="ID")


class NRIInfo(Wire):
    """The state of the Node Resource Interface."""

    info: list[tuple[str, str]] = msgspec.field(default_factory=list)


class ContainerdNamespaces(Wire):
    """The namespaces in use."""

    containers: str = always("")
    plugins: str = always("")


class ContainerdInfo(Wire):
    """The containerd in use."""

    address: str = ""
    namespaces: ContainerdNamespaces = msgspec.field(default_factory=ContainerdNamespaces)


class SwarmInfo(Wire):
    """The cluster, as this node sees it."""

    node_id: str = always("", name="NodeID")
    node_addr: str = always("")
    local_node_state: str = always("inactive")
    control_available: bool = always(False)
    error: str = always("")
    remote_managers: list[dict[str, str]] | None = always(None)
    nodes: int = 0
    managers: int = 0
    cluster: dict[str, Any] | None = None
    warnings: list[str] = msgspec.field(default_factory=list)


class Info(Wire):
    """Everything about the engine and its host."""

    id: str = always("", name="ID")
    containers: int = always(0)
    containers_running: int = always(0)
    containers_paused: int = always(0)
    containers_stopped: int = always(0)
    images: int = always(0)
    driver: str = always("")
    driver_status: list[tuple[str, str]] = always_list()
    plugins: PluginsInfo = msgspec.field(default_factory=PluginsInfo)
    memory_limit: bool = always(True)
    swap_limit: bool = always(True)
    cpu_cfs_period: bool = always(True)
    cpu_cfs_quota: bool = always(True)
    cpu_shares: bool = always(True, name="CPUShares")
    cpu_set: bool = always(True, name="CPUSet")
    pids_limit: bool = always(True)
    ipv4_forwarding: bool = always(True, name="IPv4Forwarding")
    debug: bool = always(False)
    n_fd: int = always(0)
    oom_kill_disable: bool = always(False)
    n_goroutines: int = always(0)
    system_time: str = always("")
    logging_driver: str = always("")
    cgroup_driver: str = always("")
    cgroup_version: str = ""
    n_events_listener: int = always(0)
    kernel_version: str = always("")
    operating_system: str = always("")
    os_version: str = always("", name="OSVersion")
    os_type: str = always("linux", name="OSType")
    architecture: str = always("")
    index_server_address: str = always("https://index.docker.io/v1/")
    registry_config: RegistryConfig | None = always(None)
    ncpu: int = always(0, name="NCPU")
    mem_total: int = always(0)
    generic_resources: list[dict[str, Any]] | None = always(None)
    docker_root_dir: str = always("")
    http_proxy: str = always("")
    https_proxy: str = always("")
    no_proxy: str = always("")
    name: str = always("")
    labels: list[str] = always_list()
    experimental_build: bool = always(False)
    server_version: str = always("")
    runtimes: dict[str, RuntimeInfo] = always_dict()
    default_runtime: str = always("")
    swarm: SwarmInfo = msgspec.field(default_factory=SwarmInfo)
    live_restore_enabled: bool = always(True)
    isolation: str = always("")
    init_binary: str = always("")
    containerd_commit: Commit = msgspec.field(default_factory=Commit)
    runc_commit: Commit = msgspec.field(default_factory=Commit)
    init_commit: Commit = msgspec.field(default_factory=Commit)
    security_options: list[str] = always_list()
    product_license: str = ""
    default_address_pools: list[AddressPool] = msgspec.field(default_factory=list)
    firewall_backend: FirewallInfo | None = None
    cdi_spec_dirs: list[str] = always_list(name="CDISpecDirs")
    discovered_devices: list[DeviceInfo] = msgspec.field(default_factory=list)
    nri: NRIInfo | None = omitted(None, name="NRI")
    containerd: ContainerdInfo | None = None
    warnings: list[str] | None = always(None)


class ContainerUsage(Wire):
    """The disk that containers take, in bytes; `items` only when asked for."""

    active_count: int = 0
    items: list[ContainerSummary] = msgspec.field(default_factory=list)
    reclaimable: int = 0
    total_count: int = 0
    total_size: int = 0


class ImageUsage(Wire):
    """The disk that images take, in bytes; `items` only when asked for."""

    active_count: int = 0
    items: list[ImageSummary] = msgspec.field(default_factory=list)
    reclaimable: int = 0
    total_count: int = 0
    total_size: int = 0


class VolumesUsage(Wire):
    """The disk that volumes take, in bytes; `items` only when asked for."""

    active_count: int = 0
    items: list[Volume] = msgspec.field(default_factory=list)
    reclaimable: int = 0
    total_count: int = 0
    total_size: int = 0


class BuildCacheUsage(Wire):
    """The disk that the build cache takes, in bytes."""

    active_count: int = 0
    items: list[dict[str, Any]] = msgspec.field(default_factory=list)
    reclaimable: int = 0
    total_count: int = 0
    total_size: int = 0


class DiskUsage(Wire):
    """The disk that each kind of thing takes; None for what was not asked for."""

    image_usage: ImageUsage | None = None
    container_usage: ContainerUsage | None = None
    volume_usage: VolumesUsage | None = None
    build_cache_usage: BuildCacheUsage | None = None
