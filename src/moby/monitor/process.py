"""This file is about the life of one monitor: from its fork to the last byte of its container's output."""

from __future__ import annotations

import os
import socket

from moby.core.logs import LogWriter
from moby.monitor.loop import Children, Loop
from moby.monitor.protocol import MonitorRequest
from moby.monitor.session import Session
from moby.monitor.shim.sealed import SealedProgram
from moby.monitor.shim.service import TaskService, called_by_containerd
from moby.monitor.shim.task import Task
from moby.monitor.stdio import Fifos


def keep_streams(
    request: MonitorRequest, fifos: Fifos, log: LogWriter | None, control: socket.socket, path: str
) -> None:
    """Be the monitor of a process that another's shim runs, until all its output was delivered."""
    loop = Loop()

    def over() -> None:
        loop.over = True

    session = Session(loop, request, fifos, log, control, path)
    session.ended = over
    loop.run()


def run_container(
    request: MonitorRequest,
    log: LogWriter | None,
    control: socket.socket,
    path: str,
    sealed: SealedProgram | None,
) -> None:
    """Be the monitor and the shim of a container, until containerd needs it no more."""
    loop = Loop()
    # It has to be there when the task says that it is ready.
    listener = called_by_containerd(request.shim)
    task = Task(loop, Children(loop), request, log, control, path, sealed)
    TaskService(loop, task, listener, request.shim)
    loop.run()


def settle(keep: set[int]) -> None:
    """What a freshly forked monitor does first: a session of its own, and no descriptor but its own.

    The signals that the fork server ignores it ignores as well.
    """
    os.setsid()
    previous = 2
    for descriptor in sorted(keep):
        os.closerange(previous + 1, descriptor)
        previous = max(previous, descriptor)
    os.closerange(previous + 1, 4096)
