"""This file is about options of a container that contradict each other, or that are no option at all.

The checks and their words are dockerd's; nothing is looked up here but the settings.
"""

from __future__ import annotations

import shutil
from ipaddress import ip_address

from moby.core.errors import InvalidParameter, NotImplemented, System
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.core.types.host_config import RestartPolicy
from moby.engine.config import EngineConfig
from moby.engine.containers.mount_specs import check_target
from moby.engine.runtimes import USUAL
from moby.runtime.spec import parse_security_options

_POLICIES = ("no", "always", "on-failure", "unless-stopped")
_NEEDS_PQUOTA = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"


def check_conflicts(config: ContainerConfig, host: HostConfig, settings: EngineConfig) -> None:
    """Raises InvalidParameter; System and NotImplemented for what no container of ours can have."""
    _check_network_mode(config, host)
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")
    check_restart_policy(host.restart_policy)
    _check_names(host)
    parse_security_options(host.security_opt)
    check_runtime(host.runtime, settings)
    for path in host.tmpfs:
        try:
            check_target(path)
        except ValueError as error:
            raise InvalidParameter(str(error)) from error
    if host.isolation not in ("", "default"):
        raise InvalidParameter(f"invalid isolation ({host.isolation}): linux only supports 'default'")
    _check_users(host, settings)
    if host.storage_opt:
        unknown = next((key for key in host.storage_opt if key != "size"), "")
        raise System(f"Unknown option {unknown}" if unknown else _NEEDS_PQUOTA)
    for field, asked in (
        ("Cgroup", host.cgroup),
        ("CpuCount", host.cpu_count),
    ):
        if asked:
            raise NotImplemented(f"HostConfig.{field} is not supported on linux")


def _check_users(host: HostConfig, settings: EngineConfig) -> None:
    if host.userns_mode not in ("", "host"):
        raise InvalidParameter(f"invalid user namespace mode: {host.userns_mode}")
    if not settings.userns_remap or host.userns_mode == "host":
        return
    if host.privileged:
        raise InvalidParameter(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host "
            "namespace when running privileged mode"
        )
    if host.network_mode == "host":
        raise InvalidParameter("cannot share the host's network namespace when user namespaces are enabled")
    if host.pid_mode == "host":
        raise InvalidParameter("cannot share the host PID namespace when user namespaces are enabled")


def _check_network_mode(config: ContainerConfig, host: HostConfig) -> None:
    mode = host.network_mode
    if mode == "container" or mode.startswith("container:"):
        if not mode.partition(":")[2]:
            raise InvalidParameter("invalid network mode: invalid container format container:<name|id>")
        for wrong, what in (
            (config.hostname, "hostname and the network mode"),
            (
                host.links,
                "container type network can't be used with links. This would result in undefined behavior",
            ),
            (host.dns, "dns and the network mode"),
            (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
            (
                host.port_bindings or host.publish_all_ports,
                "port publishing and the container type network mode",
            ),
            (config.exposed_ports, "port exposing and the container type network mode"),
        ):
            if wrong:
                raise InvalidParameter(f"conflicting options: {what}")
    if host.uts_mode == "host" and config.hostname:
        raise InvalidParameter("conflicting options: hostname and the UTS mode")
    if mode == "host" and host.links:
        raise InvalidParameter(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )


def check_restart_policy(policy: RestartPolicy) -> None:
    """Raises InvalidParameter."""
    if policy.name and policy.name not in _POLICIES:
        raise InvalidParameter(
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    count = policy.maximum_retry_count
    if policy.name == "on-failure":
        if count < 0:
            raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")
    elif policy.name and count:
        raise InvalidParameter(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
            + (" and cannot be negative" if count < 0 else "")
        )


def _check_names(host: HostConfig) -> None:
    for entry in host.extra_hosts or ():
        name, separator, address = entry.partition(":")
        if not separator or not name:
            raise InvalidParameter(f'bad format for add-host: "{entry}"')
        if address != "host-gateway" and not _is_address(address.removeprefix("[").removesuffix("]")):
            raise InvalidParameter(f'invalid IP address in add-host: "{address}"')
    for server in host.dns or ():
        if not _is_address(server):
            raise InvalidParameter(f'invalid JSON: ParseAddr("{server}"): unable to parse IP')


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def check_runtime(name: str, settings: EngineConfig) -> None:
    """Raises InvalidParameter for a runtime that the settings do not have and that names no shim.

    A path is no name: it would let any client of the API run any program of the host.
    """
    if name in ("", USUAL) or name in settings.runtimes or (name == "crun" and shutil.which(name)):
        return
    prefix, dot, _ = name.partition(".")
    if "/" in name or not dot or not prefix:
        raise InvalidParameter(f"unknown or invalid runtime name: {name}")
