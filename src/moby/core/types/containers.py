"""This file is about containers in the Engine API."""

from __future__ import annotations

from typing import Any

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.types.host_config import (
    ContainerUpdateRequest,
    DeviceMapping,
    DeviceRequest,
    HostConfig,
    LogConfig,
    Resources,
    RestartPolicy,
    ThrottleDevice,
    Ulimit,
    WeightDevice,
)
from moby.core.types.mounts import (
    BindOptions,
    ClusterOptions,
    ImageOptions,
    Mount,
    MountDriver,
    MountPoint,
    TmpfsOptions,
    VolumeOptions,
)
from moby.core.types.networks import (
    EndpointIPAMConfig,
    EndpointSettings,
    NetworkingConfig,
    PortBinding,
    PortSummary,
)
from moby.core.types.wire import Int64, Wire, always, always_dict, always_list, omitted

__all__ = [
    "BindOptions", "ClusterOptions", "ContainerConfig", "ContainerCreateRequest", "ContainerCreateResponse",
    "ContainerInspectResponse", "ContainerPruneResponse", "ContainerState", "ContainerSummary",
    "ContainerSummaryHostConfig", "ContainerSummaryNetworkSettings", "ContainerTopResponse",
    "ContainerUpdateRequest", "ContainerUpdateResponse", "ContainerWaitExitError", "ContainerWaitResponse",
    "DeviceMapping", "DeviceRequest", "DriverData", "EndpointIPAMConfig", "EndpointSettings",
    "FilesystemChange", "Health", "HealthConfig", "HealthSummary", "HealthcheckResult", "HostConfig",
    "ImageOptions", "LogConfig",
    "Mount", "MountDriver", "MountPoint", "NetworkSettings", "NetworkingConfig", "PortBinding", "PortSummary",
    "Resources", "RestartPolicy", "RootFSStorage", "RootFSStorageSnapshot", "Storage", "ThrottleDevice",
    "TmpfsOptions", "Ulimit", "VolumeOptions", "WeightDevice",
]  # fmt: skip


class HealthConfig(Wire):
    """How to find out whether a container is healthy; times in nanoseconds, 0 inherits."""

    test: list[str] = msgspec.field(default_factory=list)
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: int = 0


class ContainerConfig(Wire):
    """What a container is, wherever it runs; the image's own configuration fills it."""

    hostname: str = always("")
    domainname: str = always("")
    user: str = always("")
    attach_stdin: bool = always(False)
    attach_stdout: bool = always(False)
    attach_stderr: bool = always(False)
    exposed_ports: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    tty: bool = always(False)
    open_stdin: bool = always(False)
    stdin_once: bool = always(False)
    env: list[str] | None = always(None)
    cmd: list[str] | None = always(None)
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    image: str = always("")
    volumes: dict[str, dict[str, Any]] | None = always(None)
    working_dir: str = always("")
    entrypoint: list[str] | None = always(None)
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] | None = always(None)
    labels: dict[str, str] | None = always(None)
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] = msgspec.field(default_factory=list)


class ContainerCreateRequest(ContainerConfig):
    """A container to make."""

    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None

    def config(self) -> ContainerConfig:
        """The container's own configuration, without that of host and networks."""
        return ContainerConfig(**{name: getattr(self, name) for name in ContainerConfig.__struct_fields__})


class ContainerCreateResponse(Wire):
    """The ID of a new container."""

    id: str = always("")
    warnings: list[str] = always_list()


class HealthcheckResult(Wire):
    """One run of a health check; times in RFC 3339."""

    start: str = always("")
    end: str = always("")
    exit_code: int = always(0)
    output: str = always("")


class Health(Wire):
    """How healthy a container is."""

    status: str = always("")
    failing_streak: int = always(0)
    log: list[HealthcheckResult] | None = always(None)


class HealthSummary(Wire):
    """How healthy a container is, in the list of containers."""

    status: str = always("")
    failing_streak: int = always(0)


class ContainerState(Wire):
    """Where a container is in its life; times in RFC 3339."""

    status: str = always("")
    running: bool = always(False)
    paused: bool = always(False)
    restarting: bool = always(False)
    oom_killed: bool = always(False, name="OOMKilled")
    dead: bool = always(False)
    pid: int = always(0)
    exit_code: int = always(0)
    error: str = always("")
    started_at: str = always("0001-01-01T00:00:00Z")
    finished_at: str = always("0001-01-01T00:00:00Z")
    health: Health | None = None


class NetworkSettings(Wire):
    """Where a container stands on its networks now; ports as `80/tcp`."""

    sandbox_id: str = always("", name="SandboxID")
    sandbox_key: str = always("")
    ports: dict[str, list[PortBinding] | None] = always_dict()
    networks: dict[str, EndpointSettings] = always_dict()


class DriverData(Wire):
    """A graph driver and what it tells about a container or an image."""

    data: dict[str, str] | None = always(None)
    name: str = always("")


class RootFSStorageSnapshot(Wire):
    """The snapshotter that keeps a root file system."""

    name: str = ""


class RootFSStorage(Wire):
    """How a root file system is kept."""

    snapshot: RootFSStorageSnapshot | None = None


class Storage(Wire):
    """How a container's files are kept."""

    root_fs: RootFSStorage | None = omitted(None, name="RootFS")


class ContainerInspectResponse(Wire):
    """Everything about one container."""

    id: str = always("")
    created: str = always("")
    path: str = always("")
    args: list[str] = always_list()
    state: ContainerState | None = always(None)
    image: str = always("")
    resolv_conf_path: str = always("")
    hostname_path: str = always("")
    hosts_path: str = always("")
    log_path: str = always("")
    name: str = always("")
    restart_count: int = always(0)
    driver: str = always("")
    platform: str = always("")
    mount_label: str = always("")
    process_label: str = always("")
    app_armor_profile: str = always("")
    exec_ids: list[str] | None = always(None, name="ExecIDs")
    host_config: HostConfig | None = always(None)
    graph_driver: DriverData | None = None
    storage: Storage | None = None
    size_rw: int | None = None
    size_root_fs: int | None = None
    mounts: list[MountPoint] = always_list()
    config: ContainerConfig | None = always(None)
    network_settings: NetworkSettings | None = always(None)
    image_manifest_descriptor: Descriptor | None = None


class ContainerSummaryHostConfig(Wire):
    """What the list of containers tells of the host configuration."""

    network_mode: str = ""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class ContainerSummaryNetworkSettings(Wire):
    """What the list of containers tells of networks."""

    networks: dict[str, EndpointSettings] = always_dict()


class ContainerSummary(Wire):
    """A container in the list of containers; `created` in seconds since 1970, sizes in bytes."""

    id: str = always("")
    names: list[str] = always_list()
    image: str = always("")
    image_id: str = always("", name="ImageID")
    image_manifest_descriptor: Descriptor | None = None
    command: str = always("")
    created: int = always(0)
    ports: list[PortSummary] = always_list()
    size_rw: int = 0
    size_root_fs: int = 0
    labels: dict[str, str] = always_dict()
    state: str = always("")
    status: str = always("")
    host_config: ContainerSummaryHostConfig = msgspec.field(default_factory=ContainerSummaryHostConfig)
    health: HealthSummary | None = None
    network_settings: ContainerSummaryNetworkSettings | None = always(None)
    mounts: list[MountPoint] = always_list()


class ContainerWaitExitError(Wire):
    """Why a wait failed."""

    message: str = ""


class RemovedContainer(ContainerInspectResponse):
    """A container that is no more, as it was when it was removed."""

    removed_at: str = always("")


class ContainerWaitResponse(Wire):
    """The exit code."""

    error: ContainerWaitExitError | None = None
    status_code: int = always(0)


class ContainerTopResponse(Wire):
    """The processes of a container, as `ps` lists them."""

    processes: list[list[str]] = always_list()
    titles: list[str] = always_list()


class ContainerUpdateResponse(Wire):
    """What was not quite possible."""

    warnings: list[str] | None = always(None)


class ContainerPruneResponse(Wire):
    """The IDs of the containers that were removed, and the bytes that freed."""

    containers_deleted: list[str] | None = always(None)
    space_reclaimed: int = always(0)


class FilesystemChange(Wire):
    """A path that differs from the image; `kind` 0 modified, 1 added, 2 deleted."""

    kind: int = always(0)
    path: str = always("")
