"""This file is about a living container: its record, its lock, its monitor, and everyone who waits for it."""

from __future__ import annotations

import asyncio
import socket
from typing import Literal

import msgspec

from moby.core.errors import MobyError
from moby.core.types.containers import Health
from moby.engine.containers.gate import Gate
from moby.engine.containers.record import NEVER, Record
from moby.monitor.client import Monitor
from moby.monitor.protocol import AttachOptions

Condition = Literal["not-running", "next-exit", "removed"]


class PendingAttachment(msgspec.Struct, eq=False):
    """A client that attached before the container was started: it gets the monitor, or None."""

    connection: socket.socket
    options: AttachOptions
    monitor: asyncio.Future[Monitor | None]


class Container:
    """One container in memory.

    Its record is written by whoever holds `lock`, and by nobody else; everyone may read it. Whoever waits
    for a change of state gets a future that the change completes with the exit code.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.lock = asyncio.Lock()
        self.gate = Gate()
        self.monitor: Monitor | None = None
        self.pending: list[PendingAttachment] = []
        self.removed = False
        self.removing = False
        self.freed = False
        # Set as soon as nothing is left of an earlier run's task.
        self.deletion: asyncio.Event | None = None
        self.health: Health | None = None
        self.summary: msgspec.Raw | None = None
        self.summary_until = 0.0
        self._stop_waiters: list[asyncio.Future[int]] = []
        self._removal_waiters: list[asyncio.Future[int]] = []

    @property
    def id(self) -> str:
        """The full ID."""
        return self.record.id

    @property
    def status(self) -> str:
        """One word for where it is in its life, `removing` included."""
        if self.removing and not self.record.state.running:
            return "removing"
        return self.record.state.status

    @property
    def ever_started(self) -> bool:
        """Has its program run at least once?"""
        return self.record.state.started_at != NEVER

    def changed(self) -> None:
        """Forget what was derived from the record."""
        self.summary = None

    def waiter(self, condition: Condition) -> asyncio.Future[int]:
        """A future of the exit code, done when the condition is met."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if (condition == "not-running" and not self.record.state.running) or (
            condition == "removed" and self.removed
        ):
            future.set_result(self.record.state.exit_code)
        elif condition == "removed":
            self._removal_waiters.append(future)
        else:
            self._stop_waiters.append(future)
        return future

    def forget(self, waiter: asyncio.Future[int]) -> None:
        """A waiter went away."""
        for waiters in (self._stop_waiters, self._removal_waiters):
            if waiter in waiters:
                waiters.remove(waiter)

    def tell_stopped(self) -> None:
        """Its program ended."""
        self._tell(self._stop_waiters)

    def tell_removed(self) -> None:
        """It is gone; that ends every other wait too."""
        self.removed = True
        self._tell(self._stop_waiters)
        self._tell(self._removal_waiters)
        for attachment in self.pending:
            if not attachment.monitor.done():
                attachment.monitor.set_result(None)
        self.pending.clear()

    def tell_not_removed(self, error: MobyError) -> None:
        """It was to go and stays: whoever waits for that hears why."""
        for future in self._removal_waiters:
            if not future.done():
                future.set_exception(error)
        self._removal_waiters.clear()

    def _tell(self, waiters: list[asyncio.Future[int]]) -> None:
        for future in waiters:
            if not future.done():
                future.set_result(self.record.state.exit_code)
        waiters.clear()
