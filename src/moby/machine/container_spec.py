"""This file is about a container's OCI configuration: from its image, the image's label, and the assembly.

What the assembly says counts before what the label says, and that before the image's own configuration.
Defaults are LinuxKit's: the machine's network, IPC and host name, no capability, and docker's usual mounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.types.images import ImageConfig
from moby.framework.machine import ContainerConfig, Device, Mount, Resources
from moby.machine.rules import identity, mode_of

T = TypeVar("T")

LABEL = "org.mobyproject.config"
OCI_VERSION = "1.0.2"
# fmt: off
CAPABILITIES = (
    "CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
    "CAP_FSETID", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_KILL", "CAP_LEASE", "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
    "CAP_SETUID", "CAP_SYSLOG", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE",
    "CAP_SYS_NICE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_WAKE_ALARM",
)
_RLIMITS = (
    "RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS",
    "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK",
)
# fmt: on
_UNLIMITED = 2**64 - 1
_ALWAYS_TYPED = ("mqueue", "devpts", "proc", "sysfs", "cgroup")
_MOUNTPOINTS = {
    "proc": "/proc",
    "devpts": "/dev/pts",
    "sysfs": "/sys",
    "cgroup": "/sys/fs/cgroup",
    "mqueue": "/dev/mqueue",
}


@contextmanager
def _below(key: str) -> Iterator[None]:
    """What is wrong in here is wrong with this key of the container."""
    try:
        yield
    except InvalidParameter as error:
        error.fields.setdefault("key", key)
        raise


def read_label(config: ImageConfig) -> ContainerConfig:
    """What an image says of its containers. Raises InvalidParameter."""
    text = config.labels.get(LABEL, "")
    if not text:
        return ContainerConfig()
    try:
        # Older labels are YAML, of which JSON is a part.
        return msgspec.yaml.decode(text.encode(), type=ContainerConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"the image's label {LABEL} is wrong: {error}") from error


def container_spec(
    said: ContainerConfig,
    label: ContainerConfig,
    image: ImageConfig,
    names: dict[str, int],
    volumes: Mapping[str, bool] | None = None,
) -> dict[str, Any]:
    """The content of a bundle's `config.json`; `volumes` are the machine's, and whether they are read-only.

    Raises InvalidParameter.
    """
    readonly = bool(_first(said.readonly, label.readonly))
    resources = _resources(_first(said.resources, label.resources))
    with _below("devices"):
        devices, rules = _devices(_first(said.devices, label.devices) or [])
    if rules:
        resources["devices"] = [*resources.get("devices", []), *rules]
    linux: dict[str, Any] = {"namespaces": _namespaces(said, label), "resources": resources}
    linux |= _given(
        uidMappings=_plain(_first(said.uid_mappings, label.uid_mappings)),
        gidMappings=_plain(_first(said.gid_mappings, label.gid_mappings)),
        sysctl=_first(said.sysctl, label.sysctl),
        cgroupsPath=_first(said.cgroups_path, label.cgroups_path),
        devices=devices,
        rootfsPropagation=_first(said.rootfs_propagation, label.rootfs_propagation),
        maskedPaths=_first(said.masked_paths, label.masked_paths),
        readonlyPaths=_first(said.readonly_paths, label.readonly_paths),
    )
    spec: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": _process(said, label, image, names),
        "root": {"path": "rootfs", "readonly": readonly},
        "mounts": _mounts(said, label, readonly, volumes or {}),
        "linux": linux,
    }
    return spec | _given(
        hostname=said.hostname or label.hostname, annotations=_first(said.annotations, label.annotations)
    )


def _first(said: T | None, label: T | None) -> T | None:
    return said if said is not None else label


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _plain(value: Sequence[Any] | None) -> Any:
    return None if value is None else msgspec.to_builtins(value)


def _joined(said: list[str] | None, label: list[str] | None, more: list[str] | None) -> list[str]:
    """The assembly's list, or else the label's with what the assembly adds."""
    if said is not None:
        return said
    return list(dict.fromkeys([*(label or []), *(more or [])]))


def _process(
    said: ContainerConfig, label: ContainerConfig, image: ImageConfig, names: dict[str, int]
) -> dict[str, Any]:
    command = said.command if said.command is not None else label.command
    environment = said.env if said.env is not None else label.env
    arguments = command if command is not None else [*image.entrypoint, *image.cmd]
    if not arguments:
        raise InvalidParameter("there is none, neither in the image nor in the assembly", key="command")
    with _below("capabilities"):
        granted = _capabilities(_joined(said.capabilities, label.capabilities, said.capabilities_add))
    with _below("ambient"):
        ambient = _capabilities(_first(said.ambient, label.ambient) or [])
    bounding = sorted({*granted, *ambient})
    with _below("rlimits"):
        limits = [_rlimit(text) for text in _first(said.rlimits, label.rlimits) or []]
    return {
        "terminal": False,
        "user": _user(said, label, names),
        "args": arguments,
        "env": environment if environment is not None else image.env,
        "cwd": said.cwd or label.cwd or image.working_dir or "/",
        "capabilities": {
            "bounding": bounding,
            "effective": sorted(granted),
            "inheritable": bounding,
            "permitted": bounding,
            "ambient": sorted(ambient),
        },
        "noNewPrivileges": bool(_first(said.no_new_privileges, label.no_new_privileges)),
    } | _given(
        rlimits=limits,
        oomScoreAdj=_oom_score(_first(said.oom_score_adj, label.oom_score_adj)),
    )


def _user(said: ContainerConfig, label: ContainerConfig, names: dict[str, int]) -> dict[str, Any]:
    uid = identity(said.uid if said.uid is not None else label.uid, names, "uid")
    gid = identity(said.gid if said.gid is not None else label.gid, names, "gid")
    others = _first(said.additional_gids, label.additional_gids) or []
    groups = [identity(group, names, "additionalGids") for group in others]
    return {"uid": uid, "gid": gid} | _given(additionalGids=groups)


def _oom_score(value: int | None) -> int | None:
    """As the kernel takes it (proc(5))."""
    if value is not None and not -1000 <= value <= 1000:
        raise InvalidParameter(f"{value} is not between -1000 and 1000", key="oomScoreAdj")
    return value


def _capabilities(given: Sequence[str]) -> list[str]:
    if len(given) == 1 and given[0].lower() in ("all", "none"):
        return list(CAPABILITIES) if given[0].lower() == "all" else []
    for name in given:
        if name not in CAPABILITIES:
            raise InvalidParameter(f"unknown capability: {name}")
    return list(given)


def _rlimit(text: str) -> dict[str, Any]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise InvalidParameter(f"cannot parse rlimit: {text}", hint="NAME,SOFT,HARD")
    name = parts[0].upper()
    name = name if name.startswith("RLIMIT_") else f"RLIMIT_{name}"
    if name not in _RLIMITS:
        raise InvalidParameter(f"unknown limit: {parts[0]}")
    values = []
    for part in parts[1:]:
        if part.lower() != "unlimited" and not re.fullmatch(r"[0-9]{1,20}", part):
            raise InvalidParameter(f"cannot parse rlimit: {text}: {part} is no number")
        values.append(_UNLIMITED if part.lower() == "unlimited" else int(part))
    return {"type": name, "soft": values[0], "hard": values[1]}


def _namespaces(said: ContainerConfig, label: ContainerConfig) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    # What is not said: the machine's own for all but processes.
    for key, kind, asked in (
        ("net", "network", said.net or label.net or "root"),
        ("ipc", "ipc", said.ipc or label.ipc or "root"),
        ("uts", "uts", said.uts or label.uts or "root"),
        ("pid", "pid", said.pid or label.pid or "new"),
        ("userns", "user", said.userns or label.userns or "root"),
    ):
        if asked in ("host", "root"):
            continue
        fresh = asked == "new" or (kind == "network" and asked == "none")
        if not fresh and not asked.startswith("/"):
            raise InvalidParameter(f"{asked!r} is no namespace: root, host, new or a path", key=key)
        found.append({"type": kind} if fresh else {"type": kind, "path": asked})
    return [*found, {"type": "mount"}]


def _mounts(
    said: ContainerConfig, label: ContainerConfig, readonly: bool, volumes: Mapping[str, bool]
) -> list[dict[str, Any]]:
    mounts = _default_mounts(readonly)
    with _below("tmpfs"):
        for text in _first(said.tmpfs, label.tmpfs) or []:
            place, _, options = text.partition(":")
            if ":" in options:
                raise InvalidParameter(f"cannot parse tmpfs, too many ':': {text}")
            mounts[place] = _mount(place, "tmpfs", "tmpfs", options.split(",") if options else [])
    with _below("binds"):
        for text in _joined(said.binds, label.binds, said.binds_add):
            bind = _bind(text, volumes)
            mounts[bind["destination"]] = bind
    with _below("mounts"):
        for each in _first(said.mounts, label.mounts) or []:
            made = _own_mount(each)
            mounts[made["destination"]] = made
    return [mounts[place] for place in sorted(mounts)]


def _mount(place: str, kind: str, source: str, options: Sequence[str]) -> dict[str, Any]:
    if not place.startswith("/"):
        raise InvalidParameter(f"the place of a mount has to be absolute: {place!r}")
    return {"destination": place, "type": kind, "source": source} | _given(options=list(options))


def _default_mounts(readonly: bool) -> dict[str, dict[str, Any]]:
    last = ["ro"] if readonly else []
    found = [
        _mount("/proc", "proc", "proc", ["nosuid", "nodev", "noexec", "relatime"]),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k", *last]),
        _mount(
            "/dev/pts",
            "devpts",
            "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        ),
        _mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", *last]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
    return {mount["destination"]: mount for mount in found}


def _bind(text: str, volumes: Mapping[str, bool]) -> dict[str, Any]:
    parts = text.split(":")
    if not 2 <= len(parts) <= 3:
        raise InvalidParameter(
            f"cannot parse bind, {'missing' if len(parts) < 2 else 'too many'} ':': {text}"
        )
    source, place = parts[:2]
    options = [*parts[2].split(","), "rbind"] if len(parts) == 3 else ["rw", "rbind", "rshared"]
    if not source.startswith("/"):
        if source not in volumes:
            raise InvalidParameter(f"there is no volume {source!r} for the bind {text}")
        if volumes[source]:
            if len(parts) == 3 and "ro" not in options:
                raise InvalidParameter(f"volume {source!r} is read-only, and bound to be written to: {text}")
            options = ["ro", *(option for option in options if option not in ("ro", "rw"))]
        source = volume_place(source)
    return _mount(place, "bind", source, options)


def volume_place(name: str) -> str:
    """Where a volume of the machine is mounted in its root."""
    return f"/containers/volumes/{name}/merged"


def _own_mount(mount: Mount) -> dict[str, Any]:
    kind = mount.type or (mount.source if mount.source in _ALWAYS_TYPED else "")
    if not kind and mount.destination == "/dev":
        kind = "tmpfs"
    if not kind:
        raise InvalidParameter(f"mount for destination {mount.destination} is missing type")
    place = mount.destination or _MOUNTPOINTS.get(kind, "")
    if not place:
        raise InvalidParameter(f"mount type {kind} is missing destination")
    made = _mount(place, kind, mount.source or kind, mount.options)
    return made | _given(uidMappings=_plain(mount.uidmappings), gidMappings=_plain(mount.gidmappings))


def _devices(devices: Sequence[Device]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    made, rules = [], []
    for device in devices:
        rule: dict[str, Any] = {"allow": True, "type": device.type, "access": "rwm"}
        if device.path != "all":
            if not device.path.startswith("/"):
                raise InvalidParameter(f"the path of a device has to be absolute, or all: {device.path!r}")
            numbers = {"major": device.major, "minor": device.minor}
            mode = mode_of(device.mode, 0o600)
            made.append({"path": device.path, "type": device.type, **numbers, "fileMode": mode})
            rule |= numbers
        rules.append(rule)
    return made, rules


def _resources(resources: Resources | None) -> dict[str, Any]:
    if resources is None:
        return {}
    found: dict[str, Any] = _without_nothing(msgspec.to_builtins(resources))
    if "blockio" in found:
        found["blockIO"] = found.pop("blockio")
    return found


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value
