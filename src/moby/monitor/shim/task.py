"""This file is about a container that the monitor runs itself: its life, and the processes in it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, System
from moby.core.logs import LogWriter
from moby.core.snapshots import Mount
from moby.host.mounting import mount, unmount
from moby.monitor.loop import Children, Later, Loop, begin, report
from moby.monitor.protocol import Begun, Ended, Execute, Failed, Forget, Go, Message, MonitorRequest, Running
from moby.monitor.session import Session
from moby.monitor.shim.events import Events
from moby.monitor.shim.memory import watch_memory
from moby.monitor.shim.oci import OciRuntime
from moby.monitor.shim.pipes import Console, Pipes, ProcessStreams

State = Literal["none", "creating", "created", "running", "paused", "stopped", "deleted"]

_PR_SET_CHILD_SUBREAPER = 36
# What the shim's program finds in the bundle if we were killed (`moby.engine.shim_program`).
_RUNTIME_FILE, _EXIT_FILE = "moby-runtime", "moby-exit"


class _Namespace(msgspec.Struct):
    type: str = ""
    path: str = ""


class _Linux(msgspec.Struct):
    namespaces: list[_Namespace] = []


class _Spec(msgspec.Struct):
    linux: _Linux = msgspec.field(default_factory=_Linux)


class Process:
    """A process in the container; `ended` comes when it is known how it ended."""

    def __init__(
        self, name: str, streams: ProcessStreams, session: Session | None = None, spec: bytes = b""
    ) -> None:
        self.name = name
        self.streams = streams
        self.spec = spec
        self.session = session
        self.pid = 0
        self.status = 0
        self.ended_at_ns = 0
        self.end: Later[int] = Later()
        self.ended: Later[None] = Later()
        self.stdio: Mapping[str, str] = {}

    @property
    def runs(self) -> bool:
        """Has it been made, and not ended?"""
        return bool(self.pid) and not self.ended.done

    def signal(self, number: int) -> None:
        """Raises NotFound if it is gone; it is our child, so that its number is nobody else's."""
        if not self.runs:
            raise NotFound("process already finished")
        try:
            os.kill(self.pid, number)
        except OSError as error:
            raise InvalidParameter(f"cannot send signal {number}: {error.strerror}") from error


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
    ) -> None:
        # What the runtime leaves behind falls to us, and with it the containers' exit statuses.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.id = request.id
        self.state: State = "none"
        self.bundle = ""
        self.execs: dict[str, Process] = {}
        self.finished: Callable[[], None] = lambda: None
        self._loop = loop
        self._children = children
        self._request = request
        self._directory = os.path.dirname(path)
        self._consoles = 0
        self._runtime: OciRuntime | None = None
        self._own_processes = True
        self._session_ended = False
        self.events = Events(loop, request.id)
        streams = self._streams(request)
        self.session = Session(loop, request, streams, log, control, path)
        self.session.more = self._asked
        self.session.ended = self._session_has_ended
        # Nobody else knows of it until it is made.
        self.session.needs_daemon = True
        self.init = Process("", streams, self.session)

    def _streams(self, request: MonitorRequest) -> ProcessStreams:
        if not request.tty:
            return Pipes(stdin=request.stdin)
        self._consoles += 1
        return Console(f"{self._request.shim}.{self._consoles}", stdin=request.stdin)

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

    def _moves(self, before: State, after: State) -> None:
        """From one state to another, unless it has gone elsewhere meanwhile."""
        if self.state == before:
            self.state = after

    def process(self, name: str) -> Process:
        """The first one, or one by name. Raises NotFound."""
        if not name:
            self.check()
            return self.init
        if (found := self.execs.get(name)) is None:
            raise NotFound(f"exec {name} not found")
        return found

    # The container's life

    async def create(self, bundle: str, rootfs: Sequence[Mount], binary: str, root: str) -> int:
        """Mount its root file system and make it; the pid of its first process. Raises System, Conflict."""
        if self.state != "none" or self._session_ended:
            raise Conflict(f"task {self.id} cannot be created now")
        self.state, self.bundle = "creating", bundle
        self.session.needs_daemon = False
        self._runtime = OciRuntime(self._children, binary, root, bundle, self.id)
        _write(os.path.join(bundle, _RUNTIME_FILE), f"{binary}\n{root}\n")
        self.events.connect(os.path.join(bundle, "moby-events"))
        try:
            with self._children.expecting():
                self._mount(rootfs)
                self._own_processes = _has_own_processes(bundle)
                self.init.pid = await self._runtime.create(*_given(self.init.streams))
                _took(self.init.streams)
                self.init.end = self._children.end_of(self.init.pid)
                self.init.end.then(self._init_has_ended)
        except MobyError:
            self.state = "none"
            await self._undo_create()
            # What the runtime itself has written is not the program's output.
            self.session.finish()
            raise
        finally:
            self.init.streams.made()
        self.session.held = not self.init.ended.done
        self.session.outputs_known()
        self._moves("creating", "created")
        self.events.task_created(bundle, self.init.pid)
        watch_memory(self._loop, self.init.pid, self.events.out_of_memory)
        return self.init.pid

    def _mount(self, rootfs: Sequence[Mount]) -> None:
        target = os.path.join(self.bundle, "rootfs")
        try:
            os.makedirs(target, exist_ok=True)
            for one in rootfs:
                mount(one, Path(target))
        except OSError as error:
            raise System(f"failed to mount rootfs component: {error}") from error

    async def _undo_create(self) -> None:
        if self.init.runs:
            os.kill(self.init.pid, signal.SIGKILL)
        await self._free()

    async def _free(self) -> None:
        """Give back what the runtime and we have taken; the shim's program then finds nothing to do."""
        assert self._runtime is not None
        try:
            await self._runtime.delete(force=self.state != "stopped")
        finally:
            self._unmount()
        for name in (_RUNTIME_FILE, _EXIT_FILE):
            _remove(os.path.join(self.bundle, name))

    def _unmount(self) -> None:
        try:
            unmount(Path(self.bundle, "rootfs"))
        except OSError as error:
            report(error)

    async def start(self) -> int:
        """Run its program. Raises Conflict, System."""
        runtime = self.runtime
        if self.state != "created":
            raise Conflict(f"cannot start a container in the {self.state} state")
        await runtime.start()
        self._moves("created", "running")
        self.events.task_started(self.init.pid)
        self._tell_init_ended()
        return self.init.pid

    def _init_has_ended(self) -> None:
        self._ended(self.init)
        started = self.state in ("running", "paused")
        self.state = "stopped"
        line = f"{self.init.pid} {self.init.status} {self.init.ended_at_ns // 1_000_000_000}\n"
        _write(os.path.join(self.bundle, _EXIT_FILE), line)
        if not self._own_processes and self._runtime is not None:
            begin(self._runtime.kill_everyone(int(signal.SIGKILL)))
        if started:
            self._tell_init_ended()

    def _tell_init_ended(self) -> None:
        """Nobody hears of its end before its start."""
        if not self.init.ended.done:
            return
        self.events.exited(self.init)
        self.session.tell(Ended(self.init.pid, self.init.status, self.init.ended_at_ns))
        self.session.release()

    def _ended(self, process: Process) -> None:
        process.status, process.ended_at_ns = process.end.result(), time.time_ns()
        process.ended.give(None)

    async def delete(self) -> Process:
        """Free what is left of a container that has ended or was not started. Raises Conflict."""
        runtime = self.runtime
        if self.state in ("running", "paused"):
            raise Conflict(f"cannot delete a {self.state} process")
        if self.state == "created":
            await runtime.delete(force=True)
            await self.init.ended
        self.state = "deleted"
        await self._free()
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

    async def kill(self, name: str, number: int, *, everyone: bool) -> None:
        """Send a signal. Raises NotFound if the process is gone."""
        if everyone and not name:
            await self.runtime.kill_everyone(number)
        else:
            self.process(name).signal(number)

    # More processes

    def add(self, process: Process) -> None:
        """One more, that is to be run. Raises Conflict."""
        if process.name in self.execs:
            raise Conflict(f"id {process.name} already exists")
        self.execs[process.name] = process
        self.events.exec_added(process.name)

    async def run(self, process: Process) -> int:
        """Run it; its pid. Raises Conflict if the container does not run, System."""
        if self.state != "running":
            process.streams.made()
            raise Conflict(f"container {self.id} is not running")
        try:
            with self._children.expecting():
                process.pid = await self.runtime.execute(process.name, process.spec, *_given(process.streams))
                process.end = self._children.end_of(process.pid)
                _took(process.streams)
        finally:
            process.streams.made()
        self.events.exec_started(process)
        return process.pid

    def followed(self, process: Process) -> None:
        """Whoever asked for it knows that it runs, and now hears of its end."""
        if process.session is not None:
            process.session.held = True
            process.session.outputs_known()
        process.end.then(lambda: self._exec_has_ended(process))

    def _exec_has_ended(self, process: Process) -> None:
        self._ended(process)
        self.events.exited(process)
        if process.session is not None:
            process.session.tell(Ended(process.pid, process.status, process.ended_at_ns))
            process.session.release()

    def forget(self, name: str) -> Process:
        """Free what is left of one that ended. Raises NotFound, Conflict."""
        found = self.process(name)
        if found.runs:
            raise Conflict("cannot delete a running process")
        del self.execs[name]
        return found

    # The daemon

    def _asked(self, message: Message, descriptors: Sequence[int]) -> bool:
        match message:
            case Execute(request, spec) if descriptors:
                self._open(request, spec, socket.socket(fileno=descriptors[0]))
            case Forget(name):
                if (found := self.execs.get(name)) is not None and not found.runs:
                    self.forget(name)
            case Running() if self.state == "none":
                # Whoever wanted it made is gone.
                self.session.finish()
            case Running():
                pass
            case _:
                return False
        return True

    def _open(self, request: MonitorRequest, spec: bytes, control: socket.socket) -> None:
        streams = self._streams(request)
        path = os.path.join(self._directory, f"{request.id}.sock")
        session = Session(self._loop, request, streams, None, control, path)
        session.needs_daemon = True
        process = Process(request.id, streams, session, spec)

        def asked(message: Message, _: Sequence[int]) -> bool:
            if isinstance(message, Go):
                begin(self._go(process))
            return isinstance(message, Go | Running)

        session.more = asked

    async def _go(self, process: Process) -> None:
        session = process.session
        assert session is not None
        try:
            self.add(process)
            pid = await self.run(process)
        except MobyError as error:
            if self.execs.get(process.name) is process:
                del self.execs[process.name]
            # The daemon has words for the client, and ends the session then.
            session.tell(Failed(f"{error.message}: unknown" if isinstance(error, System) else error.message))
        else:
            session.needs_daemon = False
            session.tell(Begun(pid))
            self.followed(process)

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


def _given(streams: ProcessStreams) -> tuple[Sequence[int], str]:
    return streams.given, streams.path if isinstance(streams, Console) else ""


def _took(streams: ProcessStreams) -> None:
    if isinstance(streams, Console):
        streams.take()


def _has_own_processes(bundle: str) -> bool:
    """Do all its processes end with its first one? They do in a PID namespace of its own."""
    try:
        with open(os.path.join(bundle, "config.json"), "rb") as file:
            spec = msgspec.json.decode(file.read(), type=_Spec)
    except (OSError, msgspec.MsgspecError) as error:
        raise System(f"cannot read the bundle: {error}") from error
    return any(one.type == "pid" and not one.path for one in spec.linux.namespaces)


def _write(path: str, text: str) -> None:
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
