"""This file is about processes that are added to containerd's tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from google.protobuf.any_pb2 import Any as AnyMessage

from moby.core.errors import NotFound
from moby.core.runtime import Stdio, TaskState
from moby.host.containerd.client import Containerd
from moby.host.containerd.protos import tasks_pb2
from moby.host.containerd.tasks import task_state

_TASKS = "tasks.v1.Tasks"
_PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
_START_LIMIT_S = 120.0


class ContainerdProcesses:
    """More processes, each named by its task and a name of its own."""

    def __init__(self, client: Containerd) -> None:
        self._client = client

    async def add(self, task: str, process: str, spec: Mapping[str, Any], stdio: Stdio) -> None:
        """Make it known; nothing runs yet. Raises NotFound without the task, Conflict if it is known."""
        request = tasks_pb2.ExecProcessRequest(
            container_id=task,
            exec_id=process,
            stdin=stdio.stdin,
            stdout=stdio.stdout,
            stderr=stdio.stderr,
            terminal=stdio.terminal,
            spec=AnyMessage(type_url=_PROCESS, value=msgspec.json.encode(spec)),
        )
        await self._client.call(f"{_TASKS}/Exec", request)

    async def start(self, task: str, process: str) -> int:
        """Run it; its pid."""
        request = tasks_pb2.ProcessRequest(container_id=task, exec_id=process)
        found = await self._client.call(
            f"{_TASKS}/Start", request, tasks_pb2.StartResponse, limit_s=_START_LIMIT_S
        )
        return int(found.pid)

    async def kill(self, task: str, process: str, signal: int) -> None:
        """Raises NotFound if it is gone."""
        request = tasks_pb2.KillRequest(container_id=task, exec_id=process, signal=signal)
        await self._client.call(f"{_TASKS}/Kill", request)

    async def resize(self, task: str, process: str, width: int, height: int) -> None:
        """The terminal's size in characters."""
        request = tasks_pb2.ResizePtyRequest(container_id=task, exec_id=process, width=width, height=height)
        await self._client.call(f"{_TASKS}/ResizePty", request)

    async def close_stdin(self, task: str, process: str) -> None:
        """Close the shim's end of standard input."""
        request = tasks_pb2.CloseIORequest(container_id=task, exec_id=process, stdin=True)
        await self._client.call(f"{_TASKS}/CloseIO", request)

    async def get(self, task: str, process: str) -> TaskState:
        """Raises NotFound."""
        request = tasks_pb2.ProcessRequest(container_id=task, exec_id=process)
        found = await self._client.look(f"{_TASKS}/Get", request, tasks_pb2.GetResponse)
        return task_state(process, found.process)

    async def delete(self, task: str, process: str) -> None:
        """Free one that ended; no error if it is gone."""
        request = tasks_pb2.DeleteProcessRequest(container_id=task, exec_id=process)
        try:
            await self._client.call(f"{_TASKS}/DeleteProcess", request)
        except NotFound:
            return
