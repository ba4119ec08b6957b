"""This file is about running: what a runtime does with an OCI runtime spec and a root file system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from moby.core.snapshots import Mount


class Status(StrEnum):
    """The states of a task."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class Stdio(msgspec.Struct, frozen=True):
    """FIFO paths; empty means none. With a terminal `stderr` is empty."""

    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    terminal: bool = False


class TaskRequest(msgspec.Struct, frozen=True):
    """What a runtime needs to make a task; `spec` is an OCI runtime spec as decoded JSON.

    `checkpoint` is a directory that `Runtime.checkpoint` has written: the task goes on from there.
    """

    id: str
    spec: Mapping[str, Any]
    rootfs: Sequence[Mount]
    stdio: Stdio
    runtime: str = ""
    snapshot_key: str = ""
    image: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    checkpoint: str = ""


class ProcessRequest(msgspec.Struct, frozen=True):
    """One more process for a running task; `process` is the OCI runtime spec's object of that name."""

    task: str
    id: str
    process: Mapping[str, Any]
    stdio: Stdio


class TaskState(msgspec.Struct, frozen=True):
    """What a runtime knows of a task, or of one more process in it."""

    id: str
    pid: int
    status: Status
    exit_status: int = 0
    exited_at: datetime | None = None


class Exited(msgspec.Struct, frozen=True):
    """A task's first process ended; or, if `process` names it, one more."""

    id: str
    pid: int
    exit_status: int
    exited_at: datetime
    process: str = ""


class OutOfMemory(msgspec.Struct, frozen=True):
    """The kernel killed a process of the task for memory."""

    id: str


class Frozen(msgspec.Struct, frozen=True):
    """A task's processes were frozen, or thawed; by us or by another client of the runtime."""

    id: str
    frozen: bool


class Resync(msgspec.Struct, frozen=True):
    """The stream of events began (anew): whoever watches compares its own view with `Runtime.list`."""


TaskEvent = Exited | OutOfMemory | Frozen | Resync


class Processes(Protocol):
    """Runs more processes in running tasks.

    Life of a process: `run` makes and starts it, and it ends by itself, by a signal, or with its task; it
    keeps its exit status until `delete`. Ends are among the events of the runtime.
    Cancellation: after a cancelled `run` the process may live; `delete` frees what there is.
    Errors: as `Runtime`.
    """

    async def run(self, request: ProcessRequest) -> int:
        """Run it; its pid. After an error nothing of it is left."""
        ...

    async def kill(self, task: str, process: str, signal: int) -> None:
        """Send it a signal."""
        ...

    async def resize(self, task: str, process: str, *, width: int, height: int) -> None:
        """Set its terminal's size in characters."""
        ...

    async def close_stdin(self, task: str, process: str) -> None:
        """Nothing more will come on its standard input."""
        ...

    async def state(self, task: str, process: str) -> TaskState:
        """Raises NotFound."""
        ...

    async def delete(self, task: str, process: str) -> None:
        """Free what is left of one that ended; no error if there is nothing."""
        ...


class Runtime(Protocol):
    """Runs tasks.

    Life of a task: `create` makes namespaces, mounts the root file system and stops before the program;
    `start` runs it; when its first process ends the task is STOPPED and keeps its exit status, over restarts
    of ours and of the runtime's, until `delete`. Events come from one stream that begins with `Resync` and
    repeats it after every interruption. Cancellation: a cancelled `create` leaves no task after `delete`.

    Errors: NotFound for an unknown task; InvalidParameter when the program cannot be run, with the
    runtime's words in the message; Unavailable when the runtime does not answer.
    """

    processes: Processes

    def monitored_at(self, task: str, runtime: str) -> str:
        """The socket at which the task's monitor has to serve as its shim; empty if it has another shim."""
        ...

    async def create(self, request: TaskRequest) -> int:
        """Make the task; the pid of its (not yet running) first process, 0 if `start` gives it one.

        Raises NotImplemented for a checkpoint where nothing can be restored.
        """
        ...

    async def start(self, task: str) -> int:
        """Run the program, or let it go on from a checkpoint; the first process's pid."""
        ...

    async def checkpoint(self, task: str, runtime: str, directory: str, *, leave_running: bool) -> None:
        """Write the state of all its processes into an empty directory; end them unless they are to go on.

        Raises NotImplemented, with the reason, where the kernel, CRIU or the task's `runtime` cannot.
        """
        ...

    async def kill(self, task: str, signal: int, *, everyone: bool = False) -> None:
        """Send a signal to the first process, or to every process of the task."""
        ...

    async def pause(self, task: str) -> None:
        """Freeze every process."""
        ...

    async def resume(self, task: str) -> None:
        """Thaw what `pause` froze."""
        ...

    async def resize(self, task: str, *, width: int, height: int) -> None:
        """Set the terminal's size in characters."""
        ...

    async def close_stdin(self, task: str) -> None:
        """Nothing more will come on standard input."""
        ...

    async def update(self, task: str, resources: Mapping[str, Any]) -> None:
        """Set limits of a task that runs, in the OCI runtime spec's words (`linux.resources`)."""
        ...

    async def pids(self, task: str) -> Sequence[int]:
        """Every process of the task, as the host numbers them."""
        ...

    async def state(self, task: str) -> TaskState:
        """Raises NotFound."""
        ...

    async def delete(self, task: str) -> TaskState | None:
        """Free a stopped task (kills one that only was created); its last state, None if there was none."""
        ...

    async def list(self) -> Sequence[TaskState]:
        """Every task of ours."""
        ...

    def events(self) -> AsyncIterator[TaskEvent]:
        """What happens, beginning with `Resync`."""
        ...
