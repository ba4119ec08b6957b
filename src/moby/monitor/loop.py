"""This file is about a monitor's only thread: what it waits for, and steps that wait for each other.

asyncio would take more memory than all the rest of a monitor.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
IN, OUT, PRIORITY = select.EPOLLIN, select.EPOLLOUT, select.EPOLLPRI
BROKEN = select.EPOLLHUP | select.EPOLLERR

Handler = Callable[[int], None]


class Later(Generic[T]):
    """A value that is to come, once; `await` gives it, or raises what came instead."""

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._waiting: list[Callable[[], None]] = []

    def give(self, value: T) -> None:
        """Here it is; nothing if there is one already."""
        self._settle(value, None)

    def fail(self, error: BaseException) -> None:
        """It will not come."""
        self._settle(None, error)

    def _settle(self, value: T | None, error: BaseException | None) -> None:
        if self.done:
            return
        self.done, self._value, self._error = True, value, error
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def then(self, call: Callable[[], None]) -> None:
        """Call when it has come; at once if it has."""
        if self.done:
            call()
        else:
            self._waiting.append(call)

    def result(self) -> T:
        """What has come."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def __await__(self) -> Generator[Later[Any], None, T]:
        if not self.done:
            yield self
        return self.result()


def begin(steps: Coroutine[Later[Any], None, T]) -> Later[T]:
    """Run until the first wait, and from there on whenever what is waited for has come."""
    outcome: Later[T] = Later()

    def step() -> None:
        try:
            waited_for = steps.send(None)
        except StopIteration as end:
            outcome.give(end.value)
        except Exception as error:  # noqa: BLE001 - whoever waits for the outcome gets it
            outcome.fail(error)
        else:
            waited_for.then(step)

    step()
    return outcome


class Loop:
    """Calls whoever waits for a descriptor, or for a moment."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._moments: list[tuple[float, Callable[[], None]]] = []
        self.over = False

    def watch(self, descriptor: int, events: int, handler: Handler) -> None:
        """Call `handler` with what happens, until it is forgotten."""
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Wait for something else there."""
        self._poll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Wait there no longer; no error if that is so."""
        if self._handlers.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):
                self._poll.unregister(descriptor)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, later."""
        self._moments.append((time.monotonic() + seconds, call))

    def _call(self, descriptor: int, handler: Handler, event: int) -> None:
        try:
            handler(event)
        except Exception as error:  # noqa: BLE001 - one connection's trouble must not take the container along
            report(error)
            self.forget(descriptor)

    def run(self) -> None:
        """Until it is over."""
        while not self.over:
            self.turn()

    def turn(self) -> None:
        """Wait once, and call everybody whose turn it is."""
        next_moment = min((moment for moment, _ in self._moments), default=None)
        limit_s = -1.0 if next_moment is None else max(0.0, next_moment - time.monotonic())
        for descriptor, event in self._poll.poll(limit_s):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                self._call(descriptor, handler, event)
        if next_moment is not None:
            now = time.monotonic()
            due = [call for moment, call in self._moments if moment <= now]
            self._moments = [each for each in self._moments if each[0] > now]
            for call in due:
                call()


def hear_of_children() -> None:
    """Let the end of a child be told where `signal.set_wakeup_fd` says.

    The fork server does it once, and its monitors have it from there: each would pay 100 KB for it.
    """
    signal.signal(signal.SIGCHLD, lambda *_: None)


class Children:
    """Programs that are run, and processes that fall to us because their parents have gone.

    `hear_of_children` was called before.
    """

    def __init__(self, loop: Loop) -> None:
        self._ends: dict[int, Later[int]] = {}
        # Of processes that nobody has asked for yet: they may end before it is known who they are.
        self._early: dict[int, int] = {}
        self._expecting = 0
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        loop.watch(self._wake, IN, lambda _: self._reap())

    def end_of(self, pid: int) -> Later[int]:
        """The exit status that it will have: 128 and the signal's number if one killed it."""
        found = self._ends.get(pid)
        if found is None:
            found = self._ends[pid] = Later()
            if pid in self._early:
                self._ended(pid, self._early.pop(pid))
        return found

    @contextlib.contextmanager
    def expecting(self) -> Generator[None, None, None]:
        """Inside the block ends of unknown processes are kept for `end_of`."""
        self._expecting += 1
        try:
            yield
        finally:
            self._expecting -= 1
            if not self._expecting:
                self._early.clear()

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code
            if pid in self._ends:
                self._ended(pid, code)
            elif self._expecting:
                self._early[pid] = code

    def _ended(self, pid: int, code: int) -> None:
        self._ends.pop(pid).give(code)


def report(error: BaseException) -> None:
    """Say what nobody expected; the fork server's log has it."""
    sys.excepthook(type(error), error, error.__traceback__)
