"""This file is about the streams of a process that another client of containerd's asked for: its FIFOs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from moby.core.errors import InvalidParameter
from moby.core.logs import Stream
from moby.monitor.shim.pipes import ProcessStreams, close_all
from moby.monitor.stdio import Input


class NamedStreams(ProcessStreams):
    """The process gets the FIFOs themselves.

    We hold each of them open too, until it has ended: it is not told of a client that goes away, and its
    standard input ends when `close_input` says so.
    """

    def __init__(self, stdio: Mapping[str, str]) -> None:
        self.paths = stdio
        self.outputs: dict[int, Stream] = {}
        self.input: Input | None = None
        self.console = ""
        self.complete = True
        self._held: dict[str, int] = {}
        self._theirs: list[int] = []
        try:
            for number, name in enumerate(("stdin", "stdout", "stderr")):
                self._open(name, os.O_WRONLY if number else os.O_RDONLY)
        except OSError as error:
            self.made()
            self.ended()
            raise InvalidParameter(f"cannot open {error.filename}: {error.strerror}") from error

    def _open(self, name: str, mode: int) -> None:
        path = self.paths[name]
        if not path:
            self._theirs.append(-1)
            return
        # Open for both first: opening the one end waits for nobody then.
        self._held[name] = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._theirs.append(os.open(path, mode | os.O_CLOEXEC))

    @property
    def given(self) -> Sequence[int]:
        """The ends that the process gets."""
        return self._theirs

    def take(self) -> None:
        """Nothing: there is no terminal."""

    def made(self) -> None:
        """The process has its ends."""
        close_all(self._theirs)

    def close_input(self) -> None:
        """What is in it is read before its end."""
        if (descriptor := self._held.pop("stdin", -1)) >= 0:
            os.close(descriptor)

    def ended(self) -> None:
        """The process has ended: the client finds the end of what it reads."""
        while self._held:
            os.close(self._held.popitem()[1])

    def runtime_has_opened(self) -> None:
        """Nothing: they were opened here."""

    def remove(self) -> None:
        """They are the client's."""
