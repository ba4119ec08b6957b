"""This file is about more processes in containerd's tasks: what `docker exec` runs."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from moby.core.errors import Conflict, MobyError, NotFound, Unavailable
from moby.core.runtime import Processes, ProcessRequest, Status, TaskState
from moby.host.containerd.client import Containerd
from moby.host.containerd.processes import ContainerdProcesses
from moby.runtime.failures import reason, reworded

_END_LIMIT_S = 10.0

# The last is crun about a process that has gone before it was told what to do.
_KILLED = ("did not terminate successfully", "No such process", "write to sync socket: Broken pipe")


def was_killed(error: MobyError) -> bool:
    """Was the OCI runtime, or what it had begun, killed because the container ended around it?"""
    return any(words in error.message for words in _KILLED)


class TaskProcesses(Processes):
    """Runs them by containerd's shims."""

    def __init__(self, client: Containerd) -> None:
        self._processes = ContainerdProcesses(client)

    async def run(self, request: ProcessRequest) -> int:
        """See `Processes.run`."""
        try:
            await self._processes.add(request.task, request.id, request.process, request.stdio)
            return await self._processes.start(request.task, request.id)
        except MobyError as error:
            with contextlib.suppress(MobyError):
                await asyncio.shield(self._processes.delete(request.task, request.id))
            if reason(error.message) is None and (was_killed(error) or not await self._lives(request.task)):
                raise Conflict(f"container {request.task} is not running") from error
            raise reworded(error, program=request.process["args"][0]) from error

    async def _lives(self, task: str) -> bool:
        """Has the task not ended meanwhile, which is then the reason for an error?"""
        try:
            return (await self._processes.get(task, "")).status is not Status.STOPPED
        except MobyError:
            return False

    async def kill(self, task: str, process: str, signal: int) -> None:
        """See `Processes.kill`."""
        await self._processes.kill(task, process, signal)

    async def resize(self, task: str, process: str, *, width: int, height: int) -> None:
        """See `Processes.resize`."""
        await self._processes.resize(task, process, width, height)

    async def close_stdin(self, task: str, process: str) -> None:
        """See `Processes.close_stdin`."""
        await self._processes.close_stdin(task, process)

    async def state(self, task: str, process: str) -> TaskState:
        """See `Processes.state`."""
        return await self._processes.get(task, process)

    async def delete(self, task: str, process: str) -> None:
        """See `Processes.delete`."""
        try:
            await self._processes.delete(task, process)
        except MobyError:
            # It still runs: what is left of a cancelled `run`.
            await self._kill_and_delete(task, process)

    async def _kill_and_delete(self, task: str, process: str) -> None:
        with contextlib.suppress(NotFound):
            await self._processes.kill(task, process, int(signal.SIGKILL))
        try:
            async with asyncio.timeout(_END_LIMIT_S):
                while True:
                    try:
                        return await self._processes.delete(task, process)
                    except MobyError:
                        await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise Unavailable(f"process {process} of task {task} does not end") from error
