"""This file is about `docker update`: new limits and another restart policy, also for what runs."""

from __future__ import annotations

import msgspec

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotImplemented, System
from moby.core.runtime import Runtime
from moby.core.types.containers import ContainerUpdateRequest, ContainerUpdateResponse, HostConfig
from moby.engine.containers.checks import check_host_config
from moby.engine.containers.shelf import Shelf
from moby.host.cgroups import cgroup_facts
from moby.runtime.spec.resources import resources

_LIMITS = (
    "blkio_weight", "blkio_weight_device", "blkio_device_read_bps", "blkio_device_write_bps",
    "blkio_device_read_iops", "blkio_device_write_iops", "cpu_shares", "nano_cpus", "cpu_period", "cpu_quota",
    "cpuset_cpus", "cpuset_mems", "memory", "memory_swap", "memory_reservation", "pids_limit",
)  # fmt: skip
_FIXED = ("cgroup_parent", "devices", "device_cgroup_rules", "device_requests", "ulimits")
_RIVALS = (
    ("nano_cpus", "cpu_period", "Nano CPUs cannot be updated as CPU Period has already been set"),
    ("nano_cpus", "cpu_quota", "Nano CPUs cannot be updated as CPU Quota has already been set"),
    ("cpu_period", "nano_cpus", "CPU Period cannot be updated as NanoCPUs has already been set"),
    ("cpu_quota", "nano_cpus", "CPU Quota cannot be updated as NanoCPUs has already been set"),
)


class Updater:
    """Changes what a container may use."""

    def __init__(self, shelf: Shelf, runtime: Runtime) -> None:
        self._shelf = shelf
        self._runtime = runtime

    async def update(self, name: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        """Raises InvalidParameter, Conflict; after an error everything is as it was."""
        _check(request)
        container = self._shelf.find(name)
        prefix = f"Cannot update container {container.id}"
        async with container.lock:
            record, state = container.record, container.record.state
            if container.removing or state.dead:
                raise Conflict(f'{prefix}: container is marked for removal and cannot be "update"')
            before, record.host_config = record.host_config, _merged(record.host_config, request, prefix)
            try:
                if state.running and not state.restarting:
                    await self._runtime.update(container.id, resources(record.host_config))
                await self._shelf.save(container)
            except MobyError as error:
                record.host_config = before
                raise System(f"{prefix}: {error.message}") from error
            except BaseException:
                record.host_config = before
                raise
        self._shelf.publish(container, "update")
        return ContainerUpdateResponse()


def _check(request: ContainerUpdateRequest) -> None:
    """What is wrong with any container's limits is wrong with new ones."""
    for field in _FIXED:
        if getattr(request, field):
            raise NotImplemented(f"changing {field} of a container is not supported yet")
    given = {name: getattr(request, name) for name in _LIMITS}
    if given["memory_swap"] and not given["memory"]:
        # Alone it is compared with the limit that the container has.
        given["memory_swap"] = 0
    check_host_config(HostConfig(restart_policy=request.restart_policy, **given))


def _merged(old: HostConfig, request: ContainerUpdateRequest, prefix: str) -> HostConfig:
    for mine, other, words in _RIVALS:
        if getattr(request, mine) > 0 and getattr(old, other) > 0:
            raise Conflict(f"{prefix}: Conflicting options: {words}")
    swap_counts = old.memory_swap > 0 or (old.memory_swap == 0 and cgroup_facts().swap_limit)
    if request.memory > old.memory_swap and not request.memory_swap and swap_counts:
        raise Conflict(
            f"{prefix}: Memory limit should be smaller than already set memoryswap limit, "
            "update the memoryswap at the same time"
        )
    changed = {name: value for name in _LIMITS if (value := getattr(request, name)) not in (0, None, "")}
    if request.restart_policy.name:
        if old.auto_remove and request.restart_policy.name != "no":
            raise Conflict(
                f"{prefix}: Restart policy cannot be updated because AutoRemove is enabled for the container"
            )
        changed["restart_policy"] = request.restart_policy
    if not changed:
        return old
    if changed.get("memory_swap", 0) > 0 and changed["memory_swap"] < changed.get("memory", old.memory):
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    return msgspec.structs.replace(old, **changed)
