"""This file is about what is wrong with a container's configuration, and what this engine cannot do yet.

The checks and their words are dockerd's; what is refused as not supported names the field.
"""

from __future__ import annotations

import os
import posixpath
import re

from moby.core.errors import InvalidParameter, NotImplemented
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.engine.containers.signals import parse_signal

_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?")
_MINIMUM_MEMORY = 6 << 20
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


def check_host_config(host: HostConfig) -> None:
    """Raises InvalidParameter for what dockerd refuses, NotImplemented for what we do."""
    _check_ports(host)
    _check_modes(host)
    _check_resources(host)
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidParameter(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    if host.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    if "" in (host.annotations or {}):
        raise InvalidParameter("invalid Annotations: the empty string is not permitted as an annotation key")
    check_supported(host)


def check_supported(host: HostConfig) -> None:
    """Raises NotImplemented, naming the field."""
    unsupported = {
        "CpuRealtimePeriod": bool(host.cpu_realtime_period),
        "CpuRealtimeRuntime": bool(host.cpu_realtime_runtime),
    }
    for field, asked in unsupported.items():
        if asked:
            raise NotImplemented(f"HostConfig.{field} is not supported yet")


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


def _check_ports(host: HostConfig) -> None:
    for port, bindings in (host.port_bindings or {}).items():
        match = _PORT.fullmatch(port)
        if match is None or not 0 < int(match[1]) <= 65535:
            raise InvalidParameter(f'invalid port specification: "{port}"')
        for binding in bindings or ():
            text = binding.host_port
            match = _PORT.fullmatch(text) if text else None
            if text and (
                match is None
                or match[3]
                or not all(int(part) <= 65535 for part in (match[1], match[2] or "0"))
                or (match[2] and int(match[2]) < int(match[1]))
            ):
                raise InvalidParameter(f'invalid port specification: "{text}"')


def _check_resources(host: HostConfig) -> None:
    memory, swap = host.memory, host.memory_swap
    if memory and memory < _MINIMUM_MEMORY:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0:
        raise InvalidParameter(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if host.memory_swappiness is not None and not -1 <= host.memory_swappiness <= 100:
        raise InvalidParameter(
            f"Invalid value: {host.memory_swappiness}, valid memory swappiness range is 0-100"
        )
    if 0 < host.memory_reservation < _MINIMUM_MEMORY:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if memory and 0 < memory < host.memory_reservation:
        raise InvalidParameter(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    if host.nano_cpus and host.cpu_period:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if host.nano_cpus and host.cpu_quota:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    count = os.cpu_count() or 1
    if not 0 <= host.nano_cpus <= count * 1_000_000_000:
        raise InvalidParameter(
            f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise InvalidParameter(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < host.cpu_quota < 1000:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    if host.io_maximum_bandwidth or host.io_maximum_iops:
        raise InvalidParameter(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps"
        )
