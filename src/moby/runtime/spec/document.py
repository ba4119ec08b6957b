"""This file is about the whole OCI runtime spec of a container (runtime-spec, config.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.idmaps import NO_MAP, IdMap, IdRange
from moby.core.types.containers import ContainerConfig, HostConfig, Ulimit
from moby.runtime.spec.capabilities import effective
from moby.runtime.spec.defaults import DEFAULT_PATH, OCI_VERSION
from moby.runtime.spec.devices import devices
from moby.runtime.spec.mounts import Bind, mounts, root_propagation
from moby.runtime.spec.resources import resources, rlimits
from moby.runtime.spec.seccomp import default_seccomp, parse_profile
from moby.runtime.spec.security import (
    BUILTIN,
    UNCONFINED,
    SecurityOptions,
    apparmor_profile,
    parse_security_options,
)
from moby.runtime.spec.users import User


class SpecInput(msgspec.Struct, frozen=True):
    """What a spec is made of.

    `network` is a namespace's path, empty for the host's, None for a new one; `ipc` and `pid` are paths of
    namespaces to join, used only if the host configuration's modes name a container. `environment` is what
    the engine adds; `seccomp` is the daemon's profile: its text, `builtin`, `unconfined`, or empty. With
    `ids` it has a user namespace of these users: the one at the path `user_namespace`, or a new one.
    """

    id: str
    args: Sequence[str]
    config: ContainerConfig
    host: HostConfig
    user: User
    network: str | None
    binds: Sequence[Bind] = ()
    tmpfs: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    ipc: str = ""
    pid: str = ""
    cgroup_parent: str = "/docker"
    default_ulimits: Sequence[Ulimit] = ()
    no_new_privileges: bool = False
    seccomp: str = ""
    environment: Sequence[str] = ()
    ids: IdMap = NO_MAP
    user_namespace: str = ""


def build_spec(given: SpecInput) -> dict[str, Any]:
    """The spec. Raises InvalidParameter for what cannot be said in one."""
    host, config = given.host, given.config
    security = parse_security_options(host.security_opt, no_new_privileges=given.no_new_privileges)
    capabilities = effective(host.cap_add or (), host.cap_drop or (), privileged=host.privileged)
    nodes, rules = devices(host)
    linux: dict[str, Any] = {
        "namespaces": _namespaces(given),
        "resources": {**resources(host, new=True), "devices": rules},
        "cgroupsPath": f"{(host.cgroup_parent or given.cgroup_parent).rstrip('/')}/{given.id}",
        "sysctl": _sysctls(given),
        "rootfsPropagation": root_propagation(given.binds),
    }
    if given.ids:
        if security.writable_cgroups is not None:
            raise InvalidParameter("option WritableCgroups conflicts with user namespaces and rootless mode")
        linux["uidMappings"], linux["gidMappings"] = _mappings(given.ids.users), _mappings(given.ids.groups)
    if nodes:
        linux["devices"] = nodes
    if host.masked_paths:
        linux["maskedPaths"] = list(host.masked_paths)
    if host.readonly_paths:
        linux["readonlyPaths"] = list(host.readonly_paths)
    seccomp = _seccomp(given, security, capabilities)
    if seccomp is not None:
        linux["seccomp"] = seccomp
    spec: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": _process(given, capabilities, security),
        "root": {"path": "rootfs", "readonly": host.readonly_rootfs},
        "mounts": mounts(
            host,
            given.binds,
            given.tmpfs,
            # In a user namespace nobody could make them read-only.
            writable_cgroups=True if given.ids else security.writable_cgroups,
            keep_flags=bool(given.ids),
        ),
        "linux": linux,
    }
    if host.uts_mode != "host":
        spec["hostname"] = config.hostname
        if config.domainname:
            linux["sysctl"].setdefault("kernel.domainname", config.domainname)
    if host.annotations:
        spec["annotations"] = dict(host.annotations)
    return spec


def build_process(given: SpecInput, *, privileged: bool = False) -> dict[str, Any]:
    """One more process in a container: the program, environment and user of `given`."""
    host = given.host
    security = parse_security_options(host.security_opt, no_new_privileges=given.no_new_privileges)
    granted = effective(host.cap_add or (), host.cap_drop or (), privileged=host.privileged or privileged)
    process = _process(given, granted, security)
    if privileged:
        process["capabilities"] = {name: list(granted) for name in ("bounding", "effective", "permitted")}
    return process


def _process(given: SpecInput, capabilities: Sequence[str], security: SecurityOptions) -> dict[str, Any]:
    config, host, user = given.config, given.host, given.user
    names = list(capabilities)
    # Only what is in these three sets: a set-uid program cannot inherit more (CVE-2022-24769).
    process: dict[str, Any] = {
        "terminal": config.tty,
        "user": {
            "uid": user.uid,
            "gid": user.gid,
            "additionalGids": list(dict.fromkeys((user.gid, *user.groups))),
        },
        "args": list(given.args),
        "env": _environment(given),
        "cwd": config.working_dir or "/",
        "capabilities": {
            "bounding": names,
            "effective": names if user.uid == 0 else [],
            "permitted": names if user.uid == 0 else [],
        },
        "oomScoreAdj": host.oom_score_adj,
        "noNewPrivileges": security.no_new_privileges,
    }
    if profile := apparmor_profile(security.apparmor, privileged=host.privileged):
        process["apparmorProfile"] = profile
    if limits := rlimits(host.ulimits or (), given.default_ulimits):
        process["rlimits"] = limits
    if config.tty and any(host.console_size):
        height, width = host.console_size
        process["consoleSize"] = {"height": height, "width": width}
    return process


def _environment(given: SpecInput) -> list[str]:
    config = given.config
    own = list(config.env or ())
    names = {variable.partition("=")[0] for variable in own}
    found = [] if "PATH" in names else [f"PATH={DEFAULT_PATH}"]
    if "HOSTNAME" not in names:
        found.append(f"HOSTNAME={config.hostname}")
    if config.tty and "TERM" not in names:
        found.append("TERM=xterm")
    found += [variable for variable in given.environment if variable.partition("=")[0] not in names]
    # A name without a value takes a variable away.
    found += [variable for variable in own if "=" in variable]
    if "HOME" not in names:
        found.append(f"HOME={given.user.home}")
    return found


def _namespaces(given: SpecInput) -> list[dict[str, str]]:
    host = given.host
    found = [{"type": "mount"}]
    if given.network is None:
        found.append({"type": "network"})
    elif given.network:
        found.append({"type": "network", "path": given.network})
    if host.uts_mode != "host":
        found.append({"type": "uts"})
    for kind, mode, path in (("pid", host.pid_mode, given.pid), ("ipc", host.ipc_mode, given.ipc)):
        if mode.startswith("container:"):
            found.append({"type": kind, "path": path})
        elif mode != "host":
            found.append({"type": kind})
    if host.cgroupns_mode == "private":
        found.append({"type": "cgroup"})
    if given.ids:
        path = given.user_namespace
        found.append({"type": "user", "path": path} if path else {"type": "user"})
    return found


def _mappings(ranges: Sequence[IdRange]) -> list[dict[str, int]]:
    return [{"containerID": one.inside, "hostID": one.outside, "size": one.count} for one in ranges]


def _sysctls(given: SpecInput) -> dict[str, str]:
    found: dict[str, str] = {}
    mode = given.host.network_mode
    if mode != "host" and not mode.startswith("container:"):
        usual = {"net.ipv4.ping_group_range": "0 2147483647", "net.ipv4.ip_unprivileged_port_start": "0"}
        if given.ids:
            del usual["net.ipv4.ping_group_range"]  # It is for numbers that are somebody in the namespace.
        found = {name: value for name, value in usual.items() if _has_sysctl(name)}
    return {**found, **given.host.sysctls}


_known_sysctls: dict[str, bool] = {}


def _has_sysctl(name: str) -> bool:
    known = _known_sysctls.get(name)
    if known is None:
        known = _known_sysctls[name] = Path("/proc/sys", *name.split(".")).exists()
    return known


def _seccomp(
    given: SpecInput, security: SecurityOptions, capabilities: Sequence[str]
) -> Mapping[str, Any] | None:
    """A privileged container has a filter only if it asks for one itself."""
    profile = security.seccomp or ("" if given.host.privileged else given.seccomp or BUILTIN)
    if profile in ("", UNCONFINED):
        return None
    if profile == BUILTIN:
        return default_seccomp(frozenset(capabilities))
    return parse_profile(profile, frozenset(capabilities))
