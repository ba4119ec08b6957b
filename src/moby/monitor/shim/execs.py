"""This file is about more processes in a container, of the daemon's and of other clients of containerd's."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence

from moby.core.errors import Conflict, MobyError, NotFound, System
from moby.monitor.loop import Children, Loop, begin, report
from moby.monitor.protocol import Begun, Failed, Go, Message, MonitorRequest, Running
from moby.monitor.session import Session
from moby.monitor.shim.events import Events
from moby.monitor.shim.oci import OciRuntime
from moby.monitor.shim.pipes import Terminals
from moby.monitor.shim.process import Process

# What the runtime says if it, or what it has begun, is killed because the container ends around it.
_KILLED = ("did not terminate successfully", "No such process", "fail startup")


class Execs:
    """Those that there are; each is kept with its end until somebody says that this is written down.

    `runtime` gives what runs the container, and raises Conflict if it does not run.
    """

    def __init__(
        self,
        loop: Loop,
        children: Children,
        terminals: Terminals,
        events: Events,
        runtime: Callable[[], OciRuntime],
        directory: str,
    ) -> None:
        self._loop = loop
        self._children = children
        self._terminals = terminals
        self._events = events
        self._runtime = runtime
        self._directory = directory
        self._processes: dict[str, Process] = {}

    def find(self, name: str) -> Process:
        """Raises NotFound."""
        if (found := self._processes.get(name)) is None:
            raise NotFound(f"exec {name} not found")
        return found

    def add(self, process: Process) -> None:
        """One more, that is to be run. Raises Conflict."""
        if process.name in self._processes:
            raise Conflict(f"id {process.name} already exists")
        self._processes[process.name] = process
        self._events.exec_added(process.name)

    async def run(self, process: Process) -> int:
        """Run it; its pid. Raises Conflict if the container does not run, System."""

        async def make(given: Sequence[int], console: str) -> int:
            return await self._runtime().execute(process.name, process.spec, given, console)

        await process.make(self._children, make)
        self._events.exec_started(process)
        return process.pid

    def follow(self, process: Process) -> None:
        """Whoever asked for it knows that it runs, and now hears of its end."""
        if process.session is not None:
            process.session.held = True
            process.session.outputs_known()
        process.end.then(lambda: self._has_ended(process))

    def _has_ended(self, process: Process) -> None:
        process.has_ended()
        self._events.exited(process)
        process.tell_end()
        if process.session is not None:
            process.session.release()

    def forget(self, name: str) -> Process:
        """Free what is left of one that ended. Raises NotFound, Conflict."""
        found = self.find(name)
        if found.runs:
            raise Conflict("cannot delete a running process")
        del self._processes[name]
        return found

    def open(self, request: MonitorRequest, spec: bytes, control: socket.socket) -> None:
        """A session of the daemon's for a process that it will let run."""
        path = os.path.join(self._directory, f"{request.id}.sock")
        try:
            streams = self._terminals.streams(request)
            session = Session(self._loop, request, streams, None, control, path)
        except OSError as error:
            report(error)
            control.close()
            return
        session.needs_daemon = True
        process = Process(request.id, streams, session, spec)

        def asked(message: Message, _: Sequence[int]) -> bool:
            if isinstance(message, Go):
                begin(self._go(process, session))
            return isinstance(message, Go | Running)

        session.more = asked

    async def _go(self, process: Process, session: Session) -> None:
        try:
            self.add(process)
            pid = await self.run(process)
        except MobyError as error:
            if self._processes.get(process.name) is process:
                del self._processes[process.name]
            # The daemon has words for the client, and ends the session then.
            session.tell(self._failure(error))
        else:
            session.needs_daemon = False
            session.tell(Begun(pid))
            self.follow(process)

    def _failure(self, error: MobyError) -> Failed:
        stopped = any(words in error.message for words in _KILLED)
        try:
            self._runtime()
        except MobyError:
            stopped = True
        # As containerd ends what it has no code for.
        return Failed(f"{error.message}: unknown" if isinstance(error, System) else error.message, stopped)
