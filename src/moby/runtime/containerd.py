"""This file is about containerd as the runtime: tasks by its shims."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, Unavailable
from moby.core.runtime import Processes, Resync, Runtime, Status, TaskEvent, TaskRequest, TaskState
from moby.host.cgroups import lift_processor_quota
from moby.host.containerd.client import Containerd
from moby.host.containerd.events import ContainerdEvents
from moby.host.containerd.shims import end_forgotten
from moby.host.containerd.tasks import ContainerdTasks, Shim
from moby.host.threads import blocking
from moby.runtime.checkpoints import Checkpoints, check
from moby.runtime.failures import reworded
from moby.runtime.own_shim import NAME, OwnShim
from moby.runtime.processes import TaskProcesses
from moby.runtime.seccomp_filters import SeccompFilters

log = logging.getLogger(__name__)

_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_END_LIMIT_S = 10.0
_UNKNOWN_EXIT = 255
_NO_QUOTA = -1


class ContainerdRuntime(Runtime):
    """Runs tasks by containerd; `shims` says which shim and OCI runtime each runtime name means."""

    def __init__(
        self,
        client: Containerd,
        shims: Mapping[str, Shim],
        default: str,
        *,
        snapshotter: str = "overlayfs",
        own: OwnShim | None = None,
    ) -> None:
        self.processes: Processes = TaskProcesses(client)
        self._tasks = ContainerdTasks(client)
        self._checkpoints = Checkpoints(client)
        self._events = ContainerdEvents(client)
        self._address, self._namespace = client.address, client.namespace
        self._filters = SeccompFilters()
        self._shims = shims
        self._default = default
        self._snapshotter = snapshotter
        self._own = own

    def monitored_at(self, task: str, runtime: str) -> str:
        """See `Runtime.monitored_at`."""
        return str(self._own.socket(task)) if self._own is not None and self._shim(runtime).own else ""

    def _shim(self, name: str) -> Shim:
        name = self._default if name in ("", NAME) else name
        if (shim := self._shims.get(name)) is not None:
            return shim
        if "." in name and "/" not in name:
            return Shim(name)
        raise InvalidParameter(f"unknown or invalid runtime name: {name}")

    async def create(self, request: TaskRequest) -> int:
        """See `Runtime.create`."""
        shim = self._shim(request.runtime)
        key = self._filters.key(request.spec, shim.binary) if shim.root else ""
        spec = self._filters.given(request.spec, key) if key else None
        try:
            await self._create_container(request, spec or request.spec, shim)
        except Conflict:
            # A crash left it behind; its task, if any, is not one that anybody waits for.
            await self.delete(request.id)
            await self._create_container(request, spec or request.spec, shim)
        try:
            if request.checkpoint:
                await check(shim)
            pid = await self._tasks.create(
                request.id, request.rootfs, request.stdio, shim, request.checkpoint
            )
        except MobyError as error:
            with contextlib.suppress(MobyError):
                await asyncio.shield(self._tasks.delete_container(request.id))
            program = request.spec["process"]["args"][0]
            doing = "failed to create task for container"
            raise reworded(error, program=program, doing=doing) from error
        if key and spec is None and pid:
            await blocking(self._filters.keep, key, Path(shim.root, self._namespace, request.id))
        return pid

    async def _create_container(self, request: TaskRequest, spec: Mapping[str, Any], shim: Shim) -> None:
        await self._tasks.create_container(
            request.id,
            spec,
            shim,
            snapshotter=self._snapshotter,
            snapshot_key=request.snapshot_key,
            image=request.image,
            labels=request.labels,
        )

    async def start(self, task: str) -> int:
        """See `Runtime.start`."""
        try:
            return await self._tasks.start(task)
        except MobyError as error:
            raise reworded(error) from error

    async def checkpoint(self, task: str, runtime: str, directory: str, *, leave_running: bool) -> None:
        """See `Runtime.checkpoint`."""
        await self._checkpoints.take(task, self._shim(runtime), directory, leave_running=leave_running)

    async def kill(self, task: str, signal: int, *, everyone: bool = False) -> None:
        """See `Runtime.kill`."""
        await self._tasks.kill(task, signal, everyone=everyone)

    async def pause(self, task: str) -> None:
        """See `Runtime.pause`."""
        await self._tasks.pause(task)

    async def resume(self, task: str) -> None:
        """See `Runtime.resume`."""
        await self._tasks.resume(task)

    async def resize(self, task: str, *, width: int, height: int) -> None:
        """See `Runtime.resize`."""
        await self._tasks.resize(task, width, height)

    async def close_stdin(self, task: str) -> None:
        """See `Runtime.close_stdin`."""
        await self._tasks.close_stdin(task)

    async def update(self, task: str, resources: Mapping[str, Any]) -> None:
        """See `Runtime.update`."""
        try:
            await self._tasks.update(task, resources)
        except MobyError as error:
            cpu = resources.get("cpu", {})
            if cpu.get("quota") != _NO_QUOTA or "cfs_quota_us" not in error.message:
                raise reworded(error) from error
            # crun 1.8 writes -1 as a number without a sign. Goes when Debian 12 does.
            await blocking(lift_processor_quota, (await self._tasks.get(task)).pid, task)
            rest = {key: value for key, value in cpu.items() if key != "quota"}
            await self.update(task, {**resources, "cpu": rest})

    async def pids(self, task: str) -> Sequence[int]:
        """See `Runtime.pids`."""
        return await self._tasks.pids(task)

    async def state(self, task: str) -> TaskState:
        """See `Runtime.state`."""
        try:
            return await self._tasks.get(task)
        except NotFound:
            if self._own is None or (last := await blocking(self._own.last_end, task)) is None:
                raise
            return last

    async def delete(self, task: str) -> TaskState | None:
        """See `Runtime.delete`."""
        last = None
        try:
            last = await self._tasks.delete(task)
        except NotFound:
            await blocking(self._forget, task)
        except Conflict:
            last = await self._kill_and_delete(task)
        await self._tasks.delete_container(task)
        return last

    def _forget(self, task: str) -> None:
        """Nothing is left of shims that containerd knows no more."""
        end_forgotten(self._address, self._namespace, task)
        if self._own is not None:
            self._own.forget(task)

    async def _kill_and_delete(self, task: str) -> TaskState | None:
        """A task that did not end: containerd refuses to delete it."""
        try:
            await self._tasks.kill(task, int(signal.SIGKILL), everyone=True)
        except MobyError as error:
            # It may have ended meanwhile; whether it has is seen below.
            log.debug("task was not killed", extra={"task": task, "error": error.message})
        try:
            async with asyncio.timeout(_END_LIMIT_S):
                while True:
                    try:
                        return await self._tasks.delete(task)
                    except NotFound:
                        return None
                    except Conflict:
                        await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise Unavailable(f"task {task} does not end") from error

    async def list(self) -> Sequence[TaskState]:
        """See `Runtime.list`; one whose task is gone counts as stopped, how it ended may be lost."""
        tasks = {task.id: task for task in await self._tasks.list()}
        lost = [name for name in await self._tasks.container_names() if name not in tasks]
        return [*tasks.values(), *(await blocking(self._ends, lost) if lost else ())]

    def _ends(self, lost: Sequence[str]) -> Sequence[TaskState]:
        unknown = (TaskState(name, 0, Status.STOPPED, _UNKNOWN_EXIT) for name in lost)
        if self._own is None:
            return list(unknown)
        return [self._own.last_end(one.id) or one for one in unknown]

    async def events(self) -> AsyncIterator[TaskEvent]:
        """See `Runtime.events`."""
        tries = 0
        while True:
            try:
                stream = await self._events.subscribe()
                tries = 0
                yield Resync()
                async for event in stream:
                    yield event
            except MobyError as error:
                log.warning("containerd's events were interrupted", extra={"error": str(error)})
            await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
            tries += 1
