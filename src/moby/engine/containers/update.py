"""This file is about `docker update`: new limits, another restart policy, and more, also for what runs."""

from __future__ import annotations

import msgspec

from moby.core.errors import Conflict, MobyError, NotImplemented, System
from moby.core.runtime import Runtime
from moby.core.types.containers import (
    ContainerConfig,
    ContainerUpdateRequest,
    ContainerUpdateResponse,
    HostConfig,
)
from moby.core.undo import Undo
from moby.engine.containers.boot import check_after_label
from moby.engine.containers.conflicts import check_restart_policy
from moby.engine.containers.container import Container
from moby.engine.containers.limits import check_limits
from moby.engine.containers.logs import LogDrivers
from moby.engine.containers.record import Record
from moby.engine.containers.republish import Republisher, with_bindings
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.unhealthy import most_restarts
from moby.host.cgroups import cgroup_facts
from moby.runtime.spec.resources import resources

_NUMBERS = (
    "blkio_weight", "cpu_shares", "nano_cpus", "cpu_period", "cpu_quota", "cpu_realtime_period",
    "cpu_realtime_runtime", "cpuset_cpus", "cpuset_mems", "memory", "memory_swap", "memory_reservation",
)  # fmt: skip
# An empty list or a zero is a value of these.
_OPTIONAL = (
    "blkio_weight_device", "blkio_device_read_bps", "blkio_device_write_bps", "blkio_device_read_iops",
    "blkio_device_write_iops", "pids_limit",
)  # fmt: skip
_FIXED = {
    "cgroup_parent": "CgroupParent",
    "devices": "Devices",
    "device_cgroup_rules": "DeviceCgroupRules",
    "device_requests": "DeviceRequests",
    "memory_swappiness": "MemorySwappiness",
    "oom_kill_disable": "OomKillDisable",
    "ulimits": "Ulimits",
    "cpu_count": "CpuCount",
}
_RIVALS = (
    ("nano_cpus", "cpu_period", "Nano CPUs cannot be updated as CPU Period has already been set"),
    ("nano_cpus", "cpu_quota", "Nano CPUs cannot be updated as CPU Quota has already been set"),
    ("cpu_period", "nano_cpus", "CPU Period cannot be updated as NanoCPUs has already been set"),
    ("cpu_quota", "nano_cpus", "CPU Quota cannot be updated as NanoCPUs has already been set"),
)


class Updater:
    """Changes what a container may use."""

    def __init__(self, shelf: Shelf, runtime: Runtime, republisher: Republisher, drivers: LogDrivers) -> None:
        self._shelf = shelf
        self._runtime = runtime
        self._republisher = republisher
        self._drivers = drivers

    async def update(self, name: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        """Raises InvalidParameter, Conflict, System; after an error everything is as it was."""
        warnings = _checked(request)
        container = self._shelf.find(name)
        prefix = f"Cannot update container {container.id}"
        async with container.lock:
            record, state = container.record, container.record.state
            if container.removing or state.dead:
                raise Conflict(f'{prefix}: container is marked for removal and cannot be "update"')
            changes, before = resources(request), (record.host_config, record.config)
            runs = state.running and not state.restarting
            after = _extended(record, _merged(before[0], request, prefix), request)
            if request.log_config is not None:
                await self._drivers.check(after[0].log_config.type, after[0].log_config.config or {})
            record.host_config, record.config = after
            try:
                async with Undo() as undo:
                    undo.push(self._restore, container, before)
                    await self._shelf.save(container)
                    if runs and changes:
                        await self._runtime.update(container.id, changes)
                    if runs and request.port_bindings is not None:
                        await self._republisher.publish(record, undo)
                        await self._shelf.save(container)
                    undo.keep()
            except MobyError as error:
                raise System(f"{prefix}: {error.message}") from error
        self._shelf.publish(container, "update")
        return ContainerUpdateResponse(warnings=warnings or None)

    async def _restore(self, container: Container, before: tuple[HostConfig, ContainerConfig]) -> None:
        container.record.host_config, container.record.config = before
        await self._shelf.save(container)


def _extended(
    record: Record, host: HostConfig, request: ContainerUpdateRequest
) -> tuple[HostConfig, ContainerConfig]:
    """What docker's own engine does not change: labels, published ports, the log of the next start."""
    config = record.config
    if request.labels is not None:
        check_after_label(request.labels)
        most_restarts(request.labels)
        config = msgspec.structs.replace(config, labels=request.labels)
    if request.log_config is not None:
        wanted = request.log_config
        named = msgspec.structs.replace(wanted, type=wanted.type or host.log_config.type)
        host = msgspec.structs.replace(host, log_config=named)
    if request.port_bindings is not None:
        host = with_bindings(host, request.port_bindings)
        exposed = {**(config.exposed_ports or {}), **{key: {} for key in request.port_bindings}}
        config = msgspec.structs.replace(config, exposed_ports=exposed)
    return host, config


def _checked(request: ContainerUpdateRequest) -> list[str]:
    """Warnings; what is wrong with any container's limits is wrong with new ones."""
    for field, name in _FIXED.items():
        if getattr(request, field):
            raise NotImplemented(f"changing {name} of a container is not supported")
    check_restart_policy(request.restart_policy)
    return check_limits(request, cgroup_facts(), update=True)


def _merged(old: HostConfig, request: ContainerUpdateRequest, prefix: str) -> HostConfig:
    for mine, other, words in _RIVALS:
        if getattr(request, mine) > 0 and getattr(old, other) > 0:
            raise Conflict(f"{prefix}: Conflicting options: {words}")
    if request.memory and request.memory > old.memory_swap and not request.memory_swap:
        raise Conflict(
            f"{prefix}: Memory limit should be smaller than already set memoryswap limit, "
            "update the memoryswap at the same time"
        )
    changed = {name: value for name in _NUMBERS if (value := getattr(request, name))}
    changed |= {name: value for name in _OPTIONAL if (value := getattr(request, name)) is not None}
    policy = request.restart_policy
    if policy.name:
        if old.auto_remove and policy.name != "no":
            raise Conflict(
                f"{prefix}: Restart policy cannot be updated because AutoRemove is enabled for the container"
            )
        changed["restart_policy"] = policy
    return msgspec.structs.replace(old, **changed)
