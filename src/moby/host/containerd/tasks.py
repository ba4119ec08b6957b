"""This file is about containerd's containers, tasks and what it tells of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from google.protobuf.any_pb2 import Any as AnyMessage

from moby.core.errors import Conflict, NotFound, System
from moby.core.runtime import Status, Stdio, TaskState
from moby.core.snapshots import Mount
from moby.host.containerd.client import Containerd
from moby.host.containerd.images import moment
from moby.host.containerd.protos import containers_pb2, runc_pb2, task_pb2, tasks_pb2
from moby.host.containerd.snapshots import to_wire

log = logging.getLogger(__name__)

_TASKS = "tasks.v1.Tasks"
_CONTAINERS = "containers.v1.Containers"
_SPEC = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
_RESOURCES = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
_CREATE_LIMIT_S = 120.0

STATUSES: Mapping[int, Status] = {
    task_pb2.CREATED: Status.CREATED,
    task_pb2.RUNNING: Status.RUNNING,
    task_pb2.STOPPED: Status.STOPPED,
    task_pb2.PAUSED: Status.PAUSED,
    task_pb2.PAUSING: Status.PAUSED,
}


class Shim(msgspec.Struct, frozen=True):
    """Which shim runs a container, and for runc's and our own which OCI runtime it calls.

    `own` ones are monitors; `name` is then the path of the program that containerd calls.
    """

    name: str = "io.containerd.runc.v2"
    binary: str = ""
    root: str = ""
    own: bool = False

    def options(self, checkpoint: str = "") -> AnyMessage | None:
        """The shim's options, as containerd passes them on; `checkpoint` is where a new task goes on from."""
        if not self.own and not self.name.startswith("io.containerd.runc."):
            return None
        value = runc_pb2.Options(binary_name=self.binary, root=self.root, criu_image_path=checkpoint)
        return AnyMessage(type_url="containerd.runc.v1.Options", value=value.SerializeToString())


class ContainerdTasks:
    """Containers (a spec and a name for it) and tasks (what runs)."""

    def __init__(self, client: Containerd) -> None:
        self._client = client

    async def create_container(
        self,
        container: str,
        spec: Mapping[str, Any],
        shim: Shim,
        *,
        snapshotter: str = "",
        snapshot_key: str = "",
        image: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Raises Conflict if there is one by that name."""
        message = containers_pb2.Container(
            id=container,
            image=image,
            labels=labels or {},
            runtime=containers_pb2.Container.Runtime(name=shim.name, options=shim.options()),
            spec=AnyMessage(type_url=_SPEC, value=msgspec.json.encode(spec)),
            snapshotter=snapshotter if snapshot_key else "",
            snapshot_key=snapshot_key,
        )
        request = containers_pb2.CreateContainerRequest(container=message)
        await self._client.call(f"{_CONTAINERS}/Create", request, containers_pb2.CreateContainerResponse)

    async def delete_container(self, container: str) -> None:
        """No error if it is not there."""
        try:
            await self._client.call(
                f"{_CONTAINERS}/Delete", containers_pb2.DeleteContainerRequest(id=container)
            )
        except NotFound:
            return

    async def container_names(self) -> Sequence[str]:
        """Every container of our namespace; one a message, as all specs together may exceed a message."""
        request = containers_pb2.ListContainersRequest()
        answers = self._client.read_stream(
            f"{_CONTAINERS}/ListStream", request, containers_pb2.ListContainerMessage
        )
        return [answer.container.id async for answer in answers]

    async def create(
        self,
        container: str,
        rootfs: Sequence[Mount],
        stdio: Stdio,
        shim: Shim,
        checkpoint: str = "",
    ) -> int:
        """Make the task; its pid, 0 if it is one that `start` takes from a checkpoint, a directory.

        Cancelled, this returns when containerd is done: one that is interrupted while it starts a shim may
        forget the shim. `delete` afterwards then finds all there is.
        """
        request = tasks_pb2.CreateTaskRequest(
            container_id=container,
            rootfs=to_wire(rootfs),
            stdin=stdio.stdin,
            stdout=stdio.stdout,
            stderr=stdio.stderr,
            terminal=stdio.terminal,
            options=shim.options(checkpoint),
        )
        found = await to_its_end(
            self._client.call(
                f"{_TASKS}/Create", request, tasks_pb2.CreateTaskResponse, limit_s=_CREATE_LIMIT_S
            )
        )
        return int(found.pid)

    async def start(self, container: str) -> int:
        """Run the program; its pid."""
        request = tasks_pb2.ProcessRequest(container_id=container)
        found = await self._client.call(
            f"{_TASKS}/Start", request, tasks_pb2.StartResponse, limit_s=_CREATE_LIMIT_S
        )
        return int(found.pid)

    async def delete(self, container: str) -> TaskState:
        """Free a stopped task. Raises NotFound, Conflict while it runs."""
        request = tasks_pb2.TaskRequest(container_id=container)
        try:
            found = await self._client.call(
                f"{_TASKS}/Delete", request, tasks_pb2.DeleteResponse, limit_s=_CREATE_LIMIT_S
            )
        except System as error:
            # containerd's shim for runc has no code for it, nor has runc for one from a checkpoint:
            # https://github.com/containerd/containerd/blob/v1.6.20/pkg/process/init_state.go
            if "cannot delete a" in error.message or "that is not stopped" in error.message:
                raise Conflict(error.message) from error
            raise
        return TaskState(container, found.pid, Status.STOPPED, found.exit_status, moment(found.exited_at))

    async def kill(self, container: str, signal: int, *, everyone: bool) -> None:
        """Raises NotFound if its process is gone."""
        request = tasks_pb2.KillRequest(container_id=container, signal=signal, all=everyone)
        await self._client.call(f"{_TASKS}/Kill", request)

    async def pause(self, container: str) -> None:
        """Freeze."""
        await self._client.call(f"{_TASKS}/Pause", tasks_pb2.TaskRequest(container_id=container))

    async def resume(self, container: str) -> None:
        """Thaw."""
        await self._client.call(f"{_TASKS}/Resume", tasks_pb2.TaskRequest(container_id=container))

    async def resize(self, container: str, width: int, height: int) -> None:
        """The terminal's size in characters."""
        request = tasks_pb2.ResizePtyRequest(container_id=container, width=width, height=height)
        await self._client.call(f"{_TASKS}/ResizePty", request)

    async def close_stdin(self, container: str) -> None:
        """Close the shim's end of standard input."""
        request = tasks_pb2.CloseIORequest(container_id=container, stdin=True)
        await self._client.call(f"{_TASKS}/CloseIO", request)

    async def update(self, container: str, resources: Mapping[str, Any]) -> None:
        """Set limits of a running task, as an OCI runtime spec's `linux.resources` has them."""
        value = AnyMessage(type_url=_RESOURCES, value=msgspec.json.encode(resources))
        request = tasks_pb2.UpdateTaskRequest(container_id=container, resources=value)
        await self._client.call(f"{_TASKS}/Update", request)

    async def pids(self, container: str) -> Sequence[int]:
        """Every process, as the host numbers them."""
        request = tasks_pb2.TaskRequest(container_id=container)
        found = await self._client.look(f"{_TASKS}/ListPids", request, tasks_pb2.ListPidsResponse)
        return [process.pid for process in found.processes]

    async def get(self, container: str) -> TaskState:
        """Raises NotFound."""
        request = tasks_pb2.ProcessRequest(container_id=container)
        found = await self._client.look(f"{_TASKS}/Get", request, tasks_pb2.GetResponse)
        return task_state(container, found.process)

    async def list(self) -> Sequence[TaskState]:
        """Every task of our namespace."""
        found = await self._client.look(
            f"{_TASKS}/List", tasks_pb2.ListTasksRequest(), tasks_pb2.ListTasksResponse
        )
        return [task_state(process.container_id or process.id, process) for process in found.tasks]


async def to_its_end(call: Coroutine[Any, Any, Any]) -> Any:
    """A call's answer; a cancellation takes effect when the call has ended."""
    running = asyncio.ensure_future(call)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not running.cancelled() and (failure := running.exception()) is not None:
            log.debug("a cancelled call failed", extra={"error": str(failure)})
        raise cancelled
    return running.result()


def task_state(container: str, process: task_pb2.Process) -> TaskState:
    """What containerd knows of a process, in our words."""
    status = STATUSES.get(process.status, Status.UNKNOWN)
    return TaskState(container, process.pid, status, process.exit_status, moment(process.exited_at))
