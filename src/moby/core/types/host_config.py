"""This file is about what a container asks of its host."""

from __future__ import annotations

import msgspec

from moby.core.types.mounts import Mount
from moby.core.types.networks import PortBinding
from moby.core.types.wire import Int64, UInt16, UInt64, Wire, always


class LogConfig(Wire):
    """The log driver and its options."""

    type: str = always("")
    config: dict[str, str] | None = always(None)


class RestartPolicy(Wire):
    """When a container that ended is started again."""

    name: str = always("")
    maximum_retry_count: int = always(0)


class DeviceMapping(Wire):
    """A device of the host in a container."""

    path_on_host: str = always("")
    path_in_container: str = always("")
    cgroup_permissions: str = always("")


class DeviceRequest(Wire):
    """Devices to be chosen by a driver; `count` -1 is all."""

    driver: str = always("")
    count: int = always(0)
    device_ids: list[str] | None = always(None, name="DeviceIDs")
    capabilities: list[list[str]] | None = always(None)
    options: dict[str, str] | None = always(None)


class WeightDevice(Wire):
    """A share of a block device."""

    path: str = always("")
    weight: UInt16 = always(0)


class ThrottleDevice(Wire):
    """A limit on a block device, in bytes or operations a second."""

    path: str = always("")
    rate: UInt64 = always(0)


class Ulimit(Wire):
    """A resource limit of processes."""

    name: str = always("")
    hard: Int64 = always(0)
    soft: Int64 = always(0)


class Resources(Wire):
    """Limits on processors, memory, processes, block devices; sizes in bytes."""

    cpu_shares: Int64 = always(0)
    memory: Int64 = always(0)
    nano_cpus: Int64 = always(0)
    cgroup_parent: str = always("")
    blkio_weight: UInt16 = always(0)
    blkio_weight_device: list[WeightDevice] | None = always(None)
    blkio_device_read_bps: list[ThrottleDevice] | None = always(None)
    blkio_device_write_bps: list[ThrottleDevice] | None = always(None)
    blkio_device_read_iops: list[ThrottleDevice] | None = always(None, name="BlkioDeviceReadIOps")
    blkio_device_write_iops: list[ThrottleDevice] | None = always(None, name="BlkioDeviceWriteIOps")
    cpu_period: Int64 = always(0)
    cpu_quota: Int64 = always(0)
    cpu_realtime_period: Int64 = always(0)
    cpu_realtime_runtime: Int64 = always(0)
    cpuset_cpus: str = always("")
    cpuset_mems: str = always("")
    devices: list[DeviceMapping] | None = always(None)
    device_cgroup_rules: list[str] | None = always(None)
    device_requests: list[DeviceRequest] | None = always(None)
    memory_reservation: Int64 = always(0)
    memory_swap: Int64 = always(0)
    memory_swappiness: Int64 | None = always(None)
    oom_kill_disable: bool | None = always(None)
    pids_limit: Int64 | None = always(None)
    ulimits: list[Ulimit] | None = always(None)
    cpu_count: Int64 = always(0)
    cpu_percent: Int64 = always(0)
    io_maximum_iops: UInt64 = always(0, name="IOMaximumIOps")
    io_maximum_bandwidth: UInt64 = always(0, name="IOMaximumBandwidth")


class HostConfig(Resources):
    """What a container asks of its host, kept and shown as it was asked, defaults filled in."""

    binds: list[str] | None = always(None)
    container_id_file: str = always("", name="ContainerIDFile")
    log_config: LogConfig = msgspec.field(default_factory=LogConfig)
    network_mode: str = always("")
    port_bindings: dict[str, list[PortBinding] | None] | None = always(None)
    restart_policy: RestartPolicy = msgspec.field(default_factory=RestartPolicy)
    auto_remove: bool = always(False)
    volume_driver: str = always("")
    volumes_from: list[str] | None = always(None)
    console_size: tuple[int, int] = always((0, 0))
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    cap_add: list[str] | None = always(None)
    cap_drop: list[str] | None = always(None)
    cgroupns_mode: str = always("")
    dns: list[str] | None = always(None)
    dns_options: list[str] | None = always(None)
    dns_search: list[str] | None = always(None)
    extra_hosts: list[str] | None = always(None)
    group_add: list[str] | None = always(None)
    ipc_mode: str = always("")
    cgroup: str = always("")
    links: list[str] | None = always(None)
    oom_score_adj: int = always(0)
    pid_mode: str = always("")
    privileged: bool = always(False)
    publish_all_ports: bool = always(False)
    readonly_rootfs: bool = always(False)
    security_opt: list[str] | None = always(None)
    storage_opt: dict[str, str] = msgspec.field(default_factory=dict)
    tmpfs: dict[str, str] = msgspec.field(default_factory=dict)
    uts_mode: str = always("", name="UTSMode")
    userns_mode: str = always("")
    shm_size: Int64 = always(0)
    sysctls: dict[str, str] = msgspec.field(default_factory=dict)
    runtime: str = ""
    isolation: str = always("")
    mounts: list[Mount] = msgspec.field(default_factory=list)
    masked_paths: list[str] | None = always(None)
    readonly_paths: list[str] | None = always(None)
    init: bool | None = None


class ContainerUpdateRequest(Resources):
    """New limits for a container; the last three are extensions, and replace what is there as a whole."""

    restart_policy: RestartPolicy = msgspec.field(default_factory=RestartPolicy)
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    labels: dict[str, str] | None = None
    log_config: LogConfig | None = None
