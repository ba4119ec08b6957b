"""This file is about what is wrong with a container's configuration, in dockerd's words."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.engine.containers.boot import check_after_label
from moby.engine.containers.limits import check_limits
from moby.engine.containers.port_numbers import port_number
from moby.engine.containers.signals import parse_signal
from moby.engine.containers.unhealthy import most_restarts
from moby.host.cgroups import CgroupFacts

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_LAST_PORT = 65535
_PORTS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?(?:/(?:tcp|udp|sctp))?", re.IGNORECASE)
_MINIMUM_INTERVAL = 1_000_000


def check_config(config: ContainerConfig) -> None:
    """Raises InvalidParameter; cleans `working_dir` in place."""
    if config.working_dir:
        if not config.working_dir.startswith("/"):
            raise InvalidParameter(
                f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
            )
        config.working_dir = posixpath.normpath(config.working_dir)
    if config.stop_signal:
        parse_signal(config.stop_signal)
    for variable in config.env or ():
        if not variable or variable.startswith("="):
            raise InvalidParameter(f"invalid environment variable: {variable}")
    for port in config.exposed_ports or {}:
        _check_port(port)
    check_after_label(config.labels or {})
    most_restarts(config.labels or {})
    if len(config.hostname or "") > 64:
        raise InvalidParameter(f'hostname "{config.hostname}" is too long (maximum 64 bytes)')
    if (health := config.healthcheck) is not None:
        for name in ("interval", "timeout", "start_period", "start_interval"):
            value = getattr(health, name) or 0
            if value and value < _MINIMUM_INTERVAL:
                label = "".join(part.title() for part in name.split("_"))
                raise InvalidParameter(f"{label} in Healthcheck cannot be less than 1ms")
        if (health.retries or 0) < 0:
            raise InvalidParameter("Retries in Healthcheck cannot be negative")


def check_host_config(host: HostConfig, facts: CgroupFacts) -> list[str]:
    """Warnings about limits that this host cannot set, taken out of `host`. Raises InvalidParameter."""
    check_ports(host)
    _check_modes(host)
    warnings = check_limits(host, facts)
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidParameter(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    if host.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    if "" in (host.annotations or {}):
        raise InvalidParameter("invalid Annotations: the empty string is not permitted as an annotation key")
    return warnings


def _check_modes(host: HostConfig) -> None:
    if host.ipc_mode not in ("", "none", "private", "shareable", "host") and not _names_container(
        host.ipc_mode
    ):
        raise InvalidParameter(f"invalid IPC mode: {host.ipc_mode}")
    if host.pid_mode not in ("", "host") and not _names_container(host.pid_mode):
        raise InvalidParameter(f"invalid PID mode: {host.pid_mode}")
    if host.uts_mode not in ("", "host"):
        raise InvalidParameter(f"invalid UTS mode: {host.uts_mode}")
    if host.cgroupns_mode not in ("", "host", "private"):
        raise InvalidParameter(f"invalid cgroup namespace mode: {host.cgroupns_mode}")


def _names_container(mode: str) -> bool:
    kind, _, name = mode.partition(":")
    return kind == "container" and bool(name)


def check_ports(host: HostConfig) -> None:
    """Raises InvalidParameter for ports that are none."""
    for port, bindings in (host.port_bindings or {}).items():
        _check_port(port)
        for binding in bindings or ():
            text = binding.host_port
            if text and not _is_range(_RANGE.fullmatch(text)):
                raise InvalidParameter(f'invalid port specification: "{text}"')


def check_exposed(ports: Iterable[str]) -> None:
    """Raises InvalidParameter for ports that are none, and that are to be published."""
    for port in ports:
        if not _is_range(_PORTS.fullmatch(port), first=1):
            raise InvalidParameter(f'invalid port specification: "{port}"')


def _check_port(text: str) -> None:
    """One port and its protocol, as keys of the API name them."""
    number, _, protocol = text.partition("/")
    try:
        found = port_number(number)
    except ValueError as error:
        raise InvalidParameter(f"invalid JSON: invalid port '{number}': {error}") from error
    if found == 0 or protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise InvalidParameter(f'invalid port specification: "{text}"')


def _is_range(match: re.Match[str] | None, *, first: int = 0) -> bool:
    return match is not None and first <= int(match[1]) <= int(match[2] or match[1]) <= _LAST_PORT
