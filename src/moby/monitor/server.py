"""This file is about the fork server: it forks a monitor in a millisecond, because it has imported all of it.

Run as `python -m moby.monitor.server SOCKET NAME=MODULE:ATTRIBUTE...`, the latter the log drivers, with the
socket that listens there as descriptor 3: whoever starts it can call at once. It outlives the daemon, whose
listening sockets it can hold meanwhile, and ends when it is of no more use.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence

from moby.core.errors import MobyError, System
from moby.core.logs import LogDriver
from moby.logs.chain import open_writer
from moby.monitor.loop import hear_of_children
from moby.monitor.process import keep_streams, run_container, settle
from moby.monitor.protocol import (
    LISTENER,
    Done,
    Failed,
    Held,
    Hold,
    Living,
    Message,
    MonitorRequest,
    Names,
    NoLog,
    Release,
    Spawn,
    Spawned,
    Stop,
    enlarge,
    receive,
    send,
)
from moby.monitor.shim.sealed import SealedProgram, find_program, seal
from moby.monitor.stdio import Fifos

HOLD_S = 60.0
_LONELY_S = 5.0


class ForkServer:
    """Serves one daemon at a time; a second one is told so and sent away."""

    def __init__(self, path: str, listener: socket.socket, drivers: Drivers) -> None:
        self._path = path
        self._directory = os.path.dirname(path)
        self._drivers = drivers
        self._listener = listener
        self._crun: SealedProgram | None = None
        self._seal_crun()
        self._daemon: socket.socket | None = None
        self._monitors: dict[int, str] = {}
        self._held: dict[str, int] = {}
        self._left_at = time.monotonic()
        self._stopping = False
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        hear_of_children()

    def run(self) -> None:
        """Until nobody needs it any more."""
        while not self._useless():
            waiting = [self._listener.fileno(), self._wake]
            if self._daemon is not None:
                waiting.append(self._daemon.fileno())
            poll = select.poll()
            for descriptor in waiting:
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll(None if self._daemon is not None else 1000):
                if descriptor == self._wake:
                    self._reap()
                elif descriptor == self._listener.fileno():
                    self._welcome()
                elif self._daemon is not None and descriptor == self._daemon.fileno():
                    self._serve(self._daemon)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _useless(self) -> bool:
        if self._daemon is not None:
            return self._stopping and not self._monitors
        alone_s = time.monotonic() - self._left_at
        if self._held and alone_s > HOLD_S:
            self._release()
        if self._monitors or self._held:
            return False
        return self._stopping or alone_s > _LONELY_S

    def _welcome(self) -> None:
        connection = enlarge(self._listener.accept()[0])
        if self._daemon is not None and not _closed(self._daemon):
            with contextlib.suppress(OSError):
                send(connection, Failed("another daemon uses this directory"))
            connection.close()
            return
        if self._daemon is not None:
            self._daemon.close()
        self._daemon = connection
        self._stopping = False
        try:
            send(connection, Done())
        except OSError:
            self._forget_daemon()

    def _serve(self, daemon: socket.socket) -> None:
        try:
            message, descriptors = receive(daemon)
            if message is None:
                raise ConnectionResetError
            answer, beside = self._answer(message, descriptors)
            try:
                send(daemon, answer, beside)
            finally:
                for descriptor in beside if isinstance(answer, Spawned) else ():
                    os.close(descriptor)
        except OSError:
            self._forget_daemon()

    def _forget_daemon(self) -> None:
        if self._daemon is not None:
            self._daemon.close()
        self._daemon = None
        self._left_at = time.monotonic()

    def _answer(self, message: Message, descriptors: Sequence[int]) -> tuple[Message, list[int]]:
        match message:
            case Spawn(request):
                return self._spawn(request)
            case Living():
                return Names(list(self._monitors.values())), []
            case Hold(names):
                self._release()
                self._held = dict(zip(names, descriptors, strict=True))
            case Held():
                return Names(list(self._held)), list(self._held.values())
            case Release():
                self._release()
            case Stop():
                self._stopping = True
            case other:
                return Failed(f"cannot answer {type(other).__name__}"), []
        return Done(), []

    def _release(self) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _spawn(self, request: MonitorRequest) -> tuple[Message, list[int]]:
        try:
            driver = self._drivers.find(request.log_driver)
        except System as error:
            return Failed(error.message), []
        self._seal_crun()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError as error:
            ours.close()
            theirs.close()
            return Failed(f"cannot fork a monitor: {error}"), []
        if pid == 0:
            self._become_monitor(request, theirs, driver)
        theirs.close()
        self._monitors[pid] = request.id
        return Spawned(pid), [ours.detach()]

    def _seal_crun(self) -> None:
        """Have a copy of crun as it is installed now, for the next monitor."""
        path = find_program("crun")
        if self._crun is not None:
            if self._crun.is_still(path):
                return
            os.close(self._crun.descriptor)
        self._crun = seal(path) if path else None

    def _become_monitor(
        self, request: MonitorRequest, control: socket.socket, driver: LogDriver | None
    ) -> None:
        """Never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            settle({control.fileno()} | ({self._crun.descriptor} if self._crun is not None else set()))
            _live(request, control, driver, self._directory, self._crun)
            code = 0
        except (OSError, MobyError) as error:
            with contextlib.suppress(OSError):
                send(control, Failed(str(error)))
        except BaseException as error:  # noqa: BLE001 - the owner of the process: say it, and end
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        while self._monitors:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._monitors.clear()
                return
            if pid == 0:
                return
            self._monitors.pop(pid, None)


def _closed(connection: socket.socket) -> bool:
    """Has the other side gone? A daemon that comes right after another's death must not be sent away."""
    poll = select.poll()
    # What it still had to say when it died does not count: only POLLHUP is looked for.
    poll.register(connection, 0)
    return bool(poll.poll(0))


def _live(
    request: MonitorRequest,
    control: socket.socket,
    driver: LogDriver | None,
    directory: str,
    crun: SealedProgram | None,
) -> None:
    if driver is None and request.log_driver:
        raise MobyError(f"logger: no log driver named '{request.log_driver}' is registered")
    fifos = Fifos(request) if not request.shim else None
    try:
        log = open_writer(driver, request.log_info, cached=request.log_cache) if driver is not None else None
    except (OSError, MobyError) as error:
        send(control, NoLog(str(error)))
        if fifos is not None:
            fifos.remove()
        return
    path = os.path.join(directory, f"{request.id}.sock")
    if fifos is not None:
        keep_streams(request, fifos, log, control, path)
    else:
        run_container(request, log, control, path, crun)


class Drivers:
    """The log drivers, from `NAME=MODULE:ATTRIBUTE`; each is loaded when a first container wants it.

    It is loaded here and not in the monitor, so that monitors share it.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self._targets = dict(target.partition("=")[::2] for target in targets)
        self._loaded: dict[str, LogDriver] = {}

    def find(self, name: str) -> LogDriver | None:
        """None if there is no such driver, or none is wanted. Raises System if it cannot be loaded."""
        if name not in self._loaded and name in self._targets:
            module, _, attribute = self._targets[name].partition(":")
            try:
                self._loaded[name] = getattr(importlib.import_module(module), attribute)()
            except Exception as error:  # a driver of others' must not take the fork server along
                raise System(f"cannot load the log driver {name}: {error}") from error
            gc.freeze()
        return self._loaded.get(name)


def main(arguments: Sequence[str]) -> None:
    """Serve in the foreground."""
    path, *targets = arguments
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    drivers = Drivers(targets)
    # Nearly every container has this one.
    drivers.find("json-file")
    listener = socket.socket(fileno=LISTENER)
    listener.setblocking(False)
    server = ForkServer(path, listener, drivers)
    gc.collect()
    gc.freeze()
    gc.disable()
    server.run()


if __name__ == "__main__":
    main(sys.argv[1:])
