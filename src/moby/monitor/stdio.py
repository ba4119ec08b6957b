"""This file is about a process's standard streams as a monitor holds them; FIFOs, if another shim runs it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Mapping
from typing import Protocol

from moby.core.logs import Stream
from moby.monitor.protocol import MonitorRequest

PIPE_SIZE = 1 << 20
_HELD_INPUT = 1 << 16


class StandardStreams(Protocol):
    """Our ends of a process's standard streams."""

    # By which names another's shim finds them; empty if it does not.
    paths: Mapping[str, str]
    outputs: dict[int, Stream]
    input: Input | None
    # Are all outputs known that there will be?
    complete: bool

    def runtime_has_opened(self) -> None:
        """From now on an end of input is the end."""
        ...

    def remove(self) -> None:
        """Take away what has a name; whoever has it open is not disturbed."""
        ...


class Fifos(StandardStreams):
    """Makes the FIFOs (or takes the ones there are) and opens our ends.

    Until the runtime has opened its ends a second descriptor keeps each output open, so that the end of
    input means that the runtime has closed it, and not that it has not come yet.
    """

    def __init__(self, request: MonitorRequest) -> None:
        base = os.path.join(request.directory, "stdio")
        self.paths: Mapping[str, str] = {
            "stdin": f"{base}-in" if request.stdin else "",
            "stdout": f"{base}-out",
            "stderr": "" if request.tty else f"{base}-err",
        }
        self.outputs: dict[int, Stream] = {}
        self.complete = True
        self._keepers: list[int] = []
        os.makedirs(request.directory, mode=0o700, exist_ok=True)
        for path in self.paths.values():
            if path:
                with contextlib.suppress(FileExistsError):
                    os.mkfifo(path, 0o600)
        streams: tuple[Stream, ...] = ("stdout", "stderr")
        for stream in streams:
            if path := self.paths[stream]:
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                with contextlib.suppress(OSError):
                    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
                self.outputs[descriptor] = stream
                self._keepers.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        self.input: Input | None = None
        if request.stdin:
            # Open for both: there is a reader before the runtime comes, and never a broken pipe.
            self.input = Input(os.open(self.paths["stdin"], os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))

    def runtime_has_opened(self) -> None:
        """From now on an end of input is the end."""
        while self._keepers:
            os.close(self._keepers.pop())

    def remove(self) -> None:
        """Take the FIFOs away; whoever has them open is not disturbed."""
        for path in self.paths.values():
            if path:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


class Input:
    """Standard input: what clients give, held back while the container does not read."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._waiting = bytearray()

    @property
    def full(self) -> bool:
        """Is so much waiting that clients have to wait?"""
        return len(self._waiting) >= _HELD_INPUT

    @property
    def waiting(self) -> bool:
        """Is there something that the pipe did not take yet?"""
        return bool(self._waiting)

    def give(self, data: bytes) -> None:
        """Pass on, after what waits already."""
        if self.descriptor < 0:
            return
        self._waiting += data
        self.push()

    def push(self) -> None:
        """Write what waits, as far as the pipe takes it."""
        while self._waiting and self.descriptor >= 0:
            try:
                written = os.write(self.descriptor, self._waiting)
            except BlockingIOError:
                return
            except OSError:
                # Nobody reads any more.
                self._waiting.clear()
                return
            del self._waiting[:written]

    def close(self) -> None:
        """No more will come."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
