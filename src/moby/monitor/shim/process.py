"""This file is about a process in a container: the first one, or one that was added."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.monitor.loop import Children, Later
from moby.monitor.protocol import Ended
from moby.monitor.session import Session
from moby.monitor.shim.pipes import ProcessStreams

Make = Callable[[Sequence[int], str], Awaitable[int]]


class Process:
    """One process; `ended` comes when it is known how it ended. What the daemon asked for has a session."""

    def __init__(
        self, name: str, streams: ProcessStreams, session: Session | None = None, spec: bytes = b""
    ) -> None:
        self.name = name
        self.streams = streams
        self.spec = spec
        self.session = session
        self.stdio: Mapping[str, str] = {}
        self.pid = 0
        self.status = 0
        self.ended_at_ns = 0
        self.end: Later[int] = Later()
        self.ended: Later[None] = Later()

    @property
    def runs(self) -> bool:
        """Has it been made, and not ended?"""
        return bool(self.pid) and not self.ended.done

    async def make(self, children: Children, make: Make) -> None:
        """Have it made, with its streams. Raises what `make` raises, and System without its terminal."""
        try:
            with children.expecting():
                self.pid = await make(self.streams.given, self.streams.console)
                self.end = children.end_of(self.pid)
            self.streams.take()
        except MobyError:
            if self.pid and not self.end.done:
                os.kill(self.pid, signal.SIGKILL)
            raise
        finally:
            self.streams.made()

    def signal(self, number: int) -> None:
        """Raises NotFound if it is gone; it is our child, so that its number is nobody else's."""
        if not self.runs:
            raise NotFound("process already finished")
        try:
            os.kill(self.pid, number)
        except OSError as error:
            raise InvalidParameter(f"cannot send signal {number}: {error.strerror}") from error

    def has_ended(self) -> None:
        """Its end has come."""
        self.status, self.ended_at_ns = self.end.result(), time.time_ns()
        self.ended.give(None)

    def tell_end(self) -> None:
        """Whoever follows it hears how it has ended."""
        if self.session is not None:
            self.session.tell(Ended(self.pid, self.status, self.ended_at_ns))
