"""This file is about what an assembly says of a machine: kernel, containers, volumes, files, outputs, checks.

Keys and defaults are those of LinuxKit's YAML; `outputs` and `checks` are ours. Only shapes stand here: what
the values mean is checked by whoever builds the machine.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Strings = list[str]
Identity = int | str


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping whose keys are all known."""


class Kernel(Section, frozen=True):
    """Which kernel boots the machine, and with which words on its command line."""

    image: str
    cmdline: str = ""
    binary: str = "kernel"
    tar: str = "kernel.tar"
    ucode: str = ""


class IDMapping(Section, frozen=True, rename="camel"):
    """A range of users or groups of a user namespace."""

    container_id: int = msgspec.field(name="containerID", default=0)
    host_id: int = msgspec.field(name="hostID", default=0)
    size: int = 0


class Mount(Section, frozen=True):
    """A mount in a container."""

    destination: str = ""
    type: str = ""
    source: str = ""
    options: Strings = msgspec.field(default_factory=list)
    uidmappings: list[IDMapping] = msgspec.field(default_factory=list)
    gidmappings: list[IDMapping] = msgspec.field(default_factory=list)


class Device(Section, frozen=True):
    """A device in a container; the path `all` means every device of the type."""

    path: str
    type: Literal["a", "b", "c", "p", "u"]
    major: int = 0
    minor: int = 0
    mode: str = ""


class Interface(Section, frozen=True, rename="camel"):
    """A network interface to move into a container, or to make there."""

    name: str = ""
    add: str = ""
    peer: str = ""
    create_in_root: bool = False


class Namespaces(Section, frozen=True):
    """Paths that a container's namespaces are bound to."""

    cgroup: str = ""
    ipc: str = ""
    mnt: str = ""
    net: str = ""
    pid: str = ""
    user: str = ""
    uts: str = ""


class Runtime(Section, frozen=True):
    """What happens around a container's start, in the machine's root."""

    cgroups: Strings | None = None
    mounts: list[Mount] | None = None
    mkdir: Strings | None = None
    interfaces: list[Interface] | None = None
    bind_ns: Namespaces = msgspec.field(name="bindNS", default=Namespaces())
    namespace: str | None = None


class Memory(Section, frozen=True, rename="camel"):
    """Limits of memory, in bytes."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = msgspec.field(name="kernelTCP", default=None)
    swappiness: int | None = None
    disable_oom_killer: bool | None = msgspec.field(name="disableOOMKiller", default=None)


class Cpu(Section, frozen=True, rename="camel"):
    """Limits of processor time."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str | None = None
    mems: str | None = None


class Pids(Section, frozen=True):
    """How many processes there may be."""

    limit: int


class WeightDevice(Section, frozen=True, rename="camel"):
    """A block device's share."""

    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None


class ThrottleDevice(Section, frozen=True):
    """A block device's limit."""

    major: int
    minor: int
    rate: int


class BlockIO(Section, frozen=True, rename="camel"):
    """Limits of block devices."""

    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: list[WeightDevice] | None = None
    throttle_read_bps_device: list[ThrottleDevice] | None = None
    throttle_write_bps_device: list[ThrottleDevice] | None = None
    throttle_read_iops_device: list[ThrottleDevice] | None = msgspec.field(
        name="throttleReadIOPSDevice", default=None
    )
    throttle_write_iops_device: list[ThrottleDevice] | None = msgspec.field(
        name="throttleWriteIOPSDevice", default=None
    )


class HugepageLimit(Section, frozen=True, rename="camel"):
    """A limit of huge pages."""

    page_size: str
    limit: int


class InterfacePriority(Section, frozen=True):
    """A network interface's priority."""

    name: str
    priority: int


class NetworkResources(Section, frozen=True):
    """Class and priorities of what a container sends."""

    class_id: int | None = msgspec.field(name="classID", default=None)
    priorities: list[InterfacePriority] | None = None


class DeviceRule(Section, frozen=True):
    """A rule of the devices' control group."""

    allow: bool
    type: str | None = None
    major: int | None = None
    minor: int | None = None
    access: str | None = None


class Resources(Section, frozen=True):
    """What a container may use of the machine."""

    devices: list[DeviceRule] | None = None
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    blockio: BlockIO | None = msgspec.field(name="blockio", default=None)
    hugepage_limits: list[HugepageLimit] | None = msgspec.field(name="hugepageLimits", default=None)
    network: NetworkResources | None = None


class ContainerConfig(Section, frozen=True):
    """How a container runs: also what an image's label `org.mobyproject.config` holds. None: not said."""

    capabilities: Strings | None = None
    capabilities_add: Strings | None = msgspec.field(name="capabilities.add", default=None)
    ambient: Strings | None = None
    mounts: list[Mount] | None = None
    binds: Strings | None = None
    binds_add: Strings | None = msgspec.field(name="binds.add", default=None)
    devices: list[Device] | None = None
    tmpfs: Strings | None = None
    command: Strings | None = None
    env: Strings | None = None
    cwd: str = ""
    net: str = ""
    pid: str = ""
    ipc: str = ""
    uts: str = ""
    userns: str = ""
    hostname: str = ""
    readonly: bool | None = None
    masked_paths: Strings | None = msgspec.field(name="maskedPaths", default=None)
    readonly_paths: Strings | None = msgspec.field(name="readonlyPaths", default=None)
    uid: Identity | None = None
    gid: Identity | None = None
    additional_gids: list[Identity] | None = msgspec.field(name="additionalGids", default=None)
    no_new_privileges: bool | None = msgspec.field(name="noNewPrivileges", default=None)
    oom_score_adj: int | None = msgspec.field(name="oomScoreAdj", default=None)
    rootfs_propagation: str | None = msgspec.field(name="rootfsPropagation", default=None)
    cgroups_path: str | None = msgspec.field(name="cgroupsPath", default=None)
    resources: Resources | None = None
    sysctl: dict[str, str] | None = None
    rlimits: Strings | None = None
    uid_mappings: list[IDMapping] | None = msgspec.field(name="uidMappings", default=None)
    gid_mappings: list[IDMapping] | None = msgspec.field(name="gidMappings", default=None)
    annotations: dict[str, str] | None = None
    runtime: Runtime | None = None


class Container(ContainerConfig, frozen=True, kw_only=True):
    """A container of the machine."""

    name: str
    image: str


class Volume(Section, frozen=True):
    """A directory of the machine that containers share; empty, or made of an image."""

    name: str
    image: str = ""
    readonly: bool = False
    format: Literal["", "filesystem", "oci"] = ""
    platforms: Strings = msgspec.field(default_factory=list)


class File(Section, frozen=True):
    """A file, directory or symbolic link in the machine's root."""

    path: str
    directory: bool = False
    symlink: str = ""
    contents: str | None = None
    source: str = ""
    metadata: Literal["", "yaml", "json"] = ""
    optional: bool = False
    mode: str = ""
    uid: Identity | None = None
    gid: Identity | None = None


class Output(Section, frozen=True):
    """A form in which the machine is written out."""

    format: str
    compression: Literal["zstd", "gzip", "none"] | None = None
    size: str | None = None


class HttpCheck(Section, frozen=True):
    """A request that the machine has to answer; `port` is one of the machine's."""

    port: int
    path: str = "/"
    status: int = 200
    contains: str = ""


class TcpCheck(Section, frozen=True):
    """A server that the machine has to have: after `send` it says something with `contains` in it."""

    port: int
    send: str = ""
    contains: str = ""


class CommandCheck(Section, frozen=True):
    """A program that has to end with `status` and to say `contains`; in a service, or the machine itself."""

    run: Strings
    service: str = ""
    status: int = 0
    contains: str = ""


class Check(Section, frozen=True):
    """Something that has to come true after the start, `within` so many seconds."""

    console: str | None = None
    command: CommandCheck | None = None
    http: HttpCheck | None = None
    tcp: TcpCheck | None = None
    powers_off: bool = False
    within: int = 120


class TrustRule(Section, frozen=True):
    """Images whose names match have to be signed by one of these public keys: PEM, or a path to it."""

    match: str
    keys: Strings


class MachineSections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything but the engine."""

    kernel: Kernel | None = None
    init: Strings = msgspec.field(default_factory=list)
    onboot: list[Container] = msgspec.field(default_factory=list)
    onshutdown: list[Container] = msgspec.field(default_factory=list)
    services: list[Container] = msgspec.field(default_factory=list)
    volumes: list[Volume] = msgspec.field(default_factory=list)
    files: list[File] = msgspec.field(default_factory=list)
    trust: list[TrustRule] | dict[str, Any] | None = None
    outputs: list[Output] = msgspec.field(default_factory=list)
    checks: list[Check] = msgspec.field(default_factory=list)

    def images(self) -> list[tuple[str, str]]:
        """Each image that is named, and the key that names it, in the order of the file's sections."""
        found = [("kernel.image", self.kernel.image)] if self.kernel else []
        found += [(f"init[{index}]", image) for index, image in enumerate(self.init)]
        for section in ("onboot", "onshutdown", "services", "volumes"):
            for index, entry in enumerate(getattr(self, section)):
                if entry.image or section != "volumes":
                    found.append((f"{section}[{index}].image", entry.image))
        return found
