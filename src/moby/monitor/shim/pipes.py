"""This file is about the standard streams of a process that the monitor runs itself: pipes, or a terminal."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Mapping, Sequence
from typing import Protocol

from moby.core.errors import System
from moby.core.logs import Stream
from moby.monitor.protocol import MonitorRequest
from moby.monitor.stdio import PIPE_SIZE, Input, StandardStreams

# Of so many at once, no two are handed over at one socket.
_MANY = 999
_NAMELESS: Mapping[str, str] = {"stdin": "", "stdout": "", "stderr": ""}


class ProcessStreams(StandardStreams, Protocol):
    """The streams of a process of ours; `console` is where its terminal is handed over, empty for none."""

    console: str

    @property
    def given(self) -> Sequence[int]:
        """What the process gets; -1 is none."""
        ...

    def take(self) -> None:
        """The runtime is done: there is the terminal. Raises System if there is none that should be."""
        ...

    def made(self) -> None:
        """The process has its ends, or will never be: close ours of them."""
        ...


def close_all(descriptors: list[int]) -> None:
    """Close them, and let each be none (-1)."""
    for number, descriptor in enumerate(descriptors):
        if descriptor >= 0:
            os.close(descriptor)
            descriptors[number] = -1


class Pipes(ProcessStreams):
    """Pipes to and from a process: our ends, and until it has been made the other ends."""

    def __init__(self, *, stdin: bool) -> None:
        self.paths = _NAMELESS
        self.outputs: dict[int, Stream] = {}
        self.input: Input | None = None
        self.console = ""
        self.complete = False
        self._theirs = [-1, -1, -1]
        if stdin:
            self._theirs[0], ours = os.pipe2(os.O_CLOEXEC)
            self.input = Input(ours)
        streams: tuple[Stream, ...] = ("stdout", "stderr")
        for number, stream in enumerate(streams, start=1):
            ours, self._theirs[number] = os.pipe2(os.O_CLOEXEC)
            with contextlib.suppress(OSError):
                fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
            os.set_blocking(ours, False)
            self.outputs[ours] = stream

    @property
    def given(self) -> Sequence[int]:
        """What the process gets as its standard streams; -1 is none."""
        return self._theirs

    def take(self) -> None:
        """Nothing: there is no terminal."""

    def made(self) -> None:
        """The process has its ends, or will never be: close ours of them."""
        close_all(self._theirs)
        self.complete = True

    def runtime_has_opened(self) -> None:
        """Nothing: what the process has not, `made` has closed."""

    def remove(self) -> None:
        """Nothing of them has a name."""


class Console(ProcessStreams):
    """A process's terminal; the OCI runtime hands its master over (runc(8), `--console-socket`)."""

    def __init__(self, path: str, *, stdin: bool) -> None:
        self.paths = _NAMELESS
        self.outputs: dict[int, Stream] = {}
        self.input: Input | None = None
        self.console = path
        self.complete = False
        self._stdin = stdin
        self._master = -1
        self._size: tuple[int, int] | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._listener.bind(path)
        self._listener.listen(1)
        self._listener.setblocking(False)

    @property
    def given(self) -> Sequence[int]:
        """Nothing but the terminal."""
        return ()

    def take(self) -> None:
        """The runtime has handed the terminal over. Raises System if it has not."""
        try:
            with self._listener.accept()[0] as connection:
                connection.setblocking(True)
                _, beside, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise System(f"the runtime has not given a terminal: {error}") from error
        numbers = array.array("i")
        for _, _, raw in beside:
            numbers.frombytes(raw[:4])
        if not numbers:
            raise System("the runtime has not given a terminal")
        self._master = numbers[0]
        os.set_blocking(self._master, False)
        self.outputs[self._master] = "stdout"
        if self._stdin:
            self.input = Input(os.dup(self._master))
        if self._size is not None:
            self.resize(*self._size)

    def resize(self, width: int, height: int) -> None:
        """Its size in characters; kept until there is a terminal."""
        self._size = (width, height)
        if self._master in self.outputs:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def made(self) -> None:
        """The process has been made, or will never be."""
        self.complete = True
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.console)

    def runtime_has_opened(self) -> None:
        """Nothing: the runtime gives the terminal before it says that it is done."""

    def remove(self) -> None:
        """Nothing of it has a name any more."""


class Terminals:
    """Makes the streams of processes; each terminal is handed over at a socket with a number of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._made = 0

    def streams(self, request: MonitorRequest) -> ProcessStreams:
        """Pipes, or a terminal. Raises OSError."""
        if not request.tty:
            return Pipes(stdin=request.stdin)
        self._made = self._made % _MANY + 1
        return Console(f"{self._path}.{self._made}", stdin=request.stdin)
