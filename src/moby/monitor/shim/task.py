"""This file is about a container that the monitor runs itself: its life, and the processes in it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Literal

from moby.core.errors import Conflict, MobyError, NotFound, System
from moby.core.logs import LogWriter
from moby.core.snapshots import Mount
from moby.host.mounting import mount, unmount
from moby.monitor.loop import Children, Later, Loop, begin, report
from moby.monitor.protocol import Execute, Forget, Freed, Message, MonitorRequest, Running
from moby.monitor.session import Session
from moby.monitor.shim.events import Events
from moby.monitor.shim.execs import Execs
from moby.monitor.shim.memory import watch_memory
from moby.monitor.shim.oci import OciRuntime
from moby.monitor.shim.pipes import Terminals
from moby.monitor.shim.process import Process
from moby.monitor.shim.sealed import SealedProgram

State = Literal["none", "creating", "created", "running", "paused", "stopped", "deleted"]

# Looked up by the fork server: in each monitor that would change 150 KB of memory that is shared until then.
_prctl = ctypes.CDLL(None).prctl
_PR_SET_CHILD_SUBREAPER = 36
# What the shim's program finds in the bundle if we were killed (`moby.runtime.own_shim`).
_RUNTIME_FILE, _EXIT_FILE = "moby-runtime", "moby-exit"


class Task:
    """One container.

    Life: `create`, `start`, its end, `delete`; `finished` is called when nobody needs it any more: it was
    deleted or never made, and all its output was delivered.
    """

    def __init__(
        self,
        loop: Loop,
        children: Children,
        request: MonitorRequest,
        log: LogWriter | None,
        control: socket.socket,
        path: str,
        sealed: SealedProgram | None,
    ) -> None:
        # What the runtime leaves behind falls to us, and with it the containers' exit statuses.
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.id = request.id
        self.state: State = "none"
        self.bundle = ""
        self.finished: Callable[[], None] = lambda: None
        self._loop = loop
        self._children = children
        self._runtime: OciRuntime | None = None
        self._sealed = sealed
        self._own_processes = True
        self._checkpoint = ""
        self._session_ended = False
        self._made: Later[None] = Later()
        self._freed: Later[None] | None = None
        self.events = Events(loop, request.id)
        terminals = Terminals(request.shim)
        self.execs = Execs(loop, children, terminals, self.events, self._running, os.path.dirname(path))
        streams = terminals.streams(request)
        self.session = Session(loop, request, streams, log, control, path)
        self.session.more = self._asked
        self.session.ended = self._session_has_ended
        # Nobody else knows of it until it is made.
        self.session.needs_daemon = True
        self.init = Process("", streams, self.session)

    @property
    def runtime(self) -> OciRuntime:
        """What runs it. Raises NotFound before it was made."""
        self.check()
        assert self._runtime is not None
        return self._runtime

    def check(self) -> None:
        """Raises NotFound if there is no container (any more)."""
        if self._runtime is None or self.state in ("none", "creating", "deleted"):
            raise NotFound(f"task {self.id} not found")

    def _running(self) -> OciRuntime:
        if self.state != "running":
            raise Conflict(f"container {self.id} is not running")
        return self.runtime

    def _moves(self, before: State, after: State) -> None:
        """From one state to another, unless it has gone elsewhere meanwhile."""
        if self.state == before:
            self.state = after

    def process(self, name: str) -> Process:
        """The first one, or one by name. Raises NotFound."""
        if not name:
            self.check()
            return self.init
        return self.execs.find(name)

    # The container's life

    async def create(
        self, bundle: str, rootfs: Sequence[Mount], binary: str, root: str, checkpoint: str = ""
    ) -> int:
        """Mount its root file system and make it; the pid of its first process. Raises System, Conflict.

        From a checkpoint it is made by `start`, as there is no state between made and running.
        """
        if self.state != "none" or self._session_ended:
            raise Conflict(f"task {self.id} cannot be created now")
        self.state, self.bundle = "creating", bundle
        self._made = Later()
        self.session.needs_daemon = False
        self._runtime = OciRuntime(self._children, binary, root, bundle, self.id, self._sealed)
        self.events.connect(os.path.join(bundle, "moby-events"))
        try:
            self._prepare(rootfs, f"{binary}\n{root}\n")
            if checkpoint:
                self._checkpoint = checkpoint
                await self._runtime.delete(force=True)
            else:
                await self.init.make(self._children, self._runtime.create)
        except MobyError:
            self.state = "none"
            await self._free()
            # What the runtime itself has written is not the program's output.
            self.session.finish()
            self._made.give(None)
            raise
        self.state = "created"
        self.session.held = True
        if not checkpoint:
            self._init_is_known()
        self.events.task_created(bundle, self.init.pid)
        self._made.give(None)
        return self.init.pid

    def _init_is_known(self) -> None:
        self._own_processes = _is_first(self.init.pid)
        self.session.outputs_known()
        self.init.end.then(self._init_has_ended)
        watch_memory(self._loop, self.init.pid, self.events.out_of_memory)

    def _prepare(self, rootfs: Sequence[Mount], runtime: str) -> None:
        target = os.path.join(self.bundle, "rootfs")
        try:
            _write(os.path.join(self.bundle, _RUNTIME_FILE), runtime)
            os.makedirs(target, exist_ok=True)
            for one in rootfs:
                mount(one, target)
        except OSError as error:
            raise System(f"failed to mount rootfs component: {error}") from error

    async def _free(self) -> None:
        """Give back what the runtime and we have taken; the shim's program then finds nothing to do."""
        assert self._runtime is not None
        try:
            await self._runtime.delete(force=self.state != "stopped")
        finally:
            self._unmount()
        _remove(os.path.join(self.bundle, _RUNTIME_FILE))

    def _unmount(self) -> None:
        try:
            unmount(os.path.join(self.bundle, "rootfs"))
        except OSError as error:
            report(error)

    async def start(self) -> int:
        """Run its program. Raises Conflict, System."""
        runtime = self.runtime
        if self.state != "created":
            raise Conflict(f"cannot start a container in the {self.state} state")
        if self._checkpoint:
            path, self._checkpoint = self._checkpoint, ""
            await self.init.make(self._children, lambda stdio, console: runtime.restore(path, stdio, console))
            self._init_is_known()
        elif not self.init.pid:
            raise Conflict("cannot start a container that could not be restored")
        else:
            await runtime.start()
        self._moves("created", "running")
        self.events.task_started(self.init.pid)
        self._tell_init_ended()
        return self.init.pid

    def _init_has_ended(self) -> None:
        self.init.has_ended()
        started = self.state in ("running", "paused")
        self.state = "stopped"
        line = f"{self.init.pid} {self.init.status} {self.init.ended_at_ns // 1_000_000_000}\n"
        try:
            _write(os.path.join(self.bundle, _EXIT_FILE), line)
        except OSError as error:
            # It is needed only if we are killed as well.
            report(error)
        if started:
            self._tell_init_ended()

    def _tell_init_ended(self) -> None:
        """Nobody hears of its end before its start."""
        if not self.init.ended.done:
            return
        self.events.exited(self.init)
        self.init.tell_end()
        self._freed = begin(self._free_ended())

    async def _free_ended(self) -> None:
        """At once: whoever starts or removes it next has to wait for this, and not for containerd."""
        try:
            if not self._own_processes:
                await self.runtime.kill_everyone(int(signal.SIGKILL))
            await self._free()
        except MobyError as error:
            # `delete` tries again, and says so.
            report(error)
        else:
            self.session.tell(Freed())
        finally:
            self.session.release()

    async def delete(self) -> Process:
        """Free what is left of a container that has ended or was not started. Raises Conflict."""
        if self.state == "creating":
            # Whoever wanted it made has changed their mind.
            await self._made
        runtime = self.runtime
        if self.state in ("running", "paused"):
            raise Conflict(f"cannot delete a {self.state} process")
        if self.state == "created":
            await runtime.delete(force=True)
            if self.init.pid:
                await self.init.ended
            else:
                self.init.streams.made()
                self.session.finish()
        if self._freed is not None:
            await self._freed
        self.state = "deleted"
        await self._free()
        _remove(os.path.join(self.bundle, _EXIT_FILE))
        self.session.release()
        self.events.deleted(self.init)
        return self.init

    async def pause(self) -> None:
        """Freeze every process."""
        if self.state != "running":
            raise Conflict(f"cannot pause a {self.state} container")
        await self.runtime.change("pause")
        self._moves("running", "paused")
        self.events.paused()

    async def resume(self) -> None:
        """Thaw them."""
        if self.state != "paused":
            raise Conflict(f"cannot resume a {self.state} container")
        await self.runtime.change("resume")
        self._moves("paused", "running")
        self.events.resumed()

    async def checkpoint(self, path: str, words: Sequence[str], *, leave_running: bool) -> None:
        """Write its state into a directory, by the runtime's options; end it unless it is to go on."""
        if self.state not in ("running", "paused"):
            raise Conflict(f"cannot checkpoint a {self.state} container")
        await self.runtime.checkpoint(path, [*words, *(["--leave-running"] if leave_running else [])])
        self.events.checkpointed(path)

    async def kill(self, name: str, number: int, *, everyone: bool) -> None:
        """Send a signal. Raises NotFound if the process is gone."""
        if not everyone or name:
            self.process(name).signal(number)
            return
        try:
            await self.runtime.kill_everyone(number)
        except System as error:
            if not self.init.runs:
                # It has ended meanwhile, and the runtime has forgotten it.
                raise NotFound("process already finished") from error
            raise

    # The daemon

    def _asked(self, message: Message, descriptors: Sequence[int]) -> bool:
        match message:
            case Execute(request, spec) if descriptors:
                self.execs.open(request, spec, socket.socket(fileno=descriptors[0]))
            case Forget(name):
                with contextlib.suppress(NotFound, Conflict):
                    self.execs.forget(name)
            case Running() if self.state == "none":
                # Whoever wanted it made is gone.
                self.session.finish()
            case Running():
                pass
            case _:
                return False
        return True

    # The end

    def _session_has_ended(self) -> None:
        self._session_ended = True
        self._finish_if_unneeded()

    def shut_down(self) -> None:
        """containerd needs it no more."""
        if self.state in ("none", "deleted"):
            self.session.finish()
            self._finish_if_unneeded()

    @property
    def lost(self) -> bool:
        """Has containerd forgotten it? Then nobody will ever ask for it."""
        return self.bundle != "" and self.state != "creating" and not os.path.exists(self.bundle)

    async def abandon(self) -> None:
        """End what nobody will ask for."""
        if self.init.runs:
            os.kill(self.init.pid, signal.SIGKILL)
            await self.init.ended
        self.state = "deleted"
        await self._free()
        self.session.held = False
        self.shut_down()

    def _finish_if_unneeded(self) -> None:
        if self._session_ended and self.state in ("none", "deleted"):
            self.finished()


def _is_first(pid: int) -> bool:
    """Is it the first process of its PID namespace? Then all others end with it (proc(5), `NSpid`)."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((line.split()[-1] for line in file if line.startswith("NSpid:")), "") == "1"
    except OSError:
        return False


def _write(path: str, text: str) -> None:
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
