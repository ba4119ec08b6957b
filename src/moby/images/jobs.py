"""This file is about long work with listeners: a pull that several clients wait for is done once.

A job runs in a task of its own, owned by `Jobs`. It reports messages, which every listener gets; the last
listener that goes away cancels it. A listener that reads slowly gets fewer steps of a layer's progress, never
fewer layers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import Any, Self

import msgspec

from moby.core.codec import encode
from moby.core.errors import MobyError, System
from moby.core.types.jsonstream import JSONMessage, JSONProgress

log = logging.getLogger(__name__)


class Report:
    """Where a job says how far it is."""

    def __init__(self, tell: Callable[[JSONMessage], None]) -> None:
        self._tell = tell

    def status(self, text: str, part: str = "") -> None:
        """A line of text."""
        self._tell(JSONMessage(status=text, id=part))

    def stream(self, text: str) -> None:
        """Text that is shown as it is."""
        self._tell(JSONMessage(stream=text))

    def step(self, part: str, action: str, *, hide_counts: bool = False) -> None:
        """What is being done with a part now."""
        self._tell(JSONMessage(status=action, id=part, progress_detail=JSONProgress(hidecounts=hide_counts)))

    def progress(self, part: str, action: str, current: int, total: int = 0, units: str = "") -> None:
        """How far a part is, in bytes if there are no `units`."""
        detail = JSONProgress(current=current, total=total, units=units)
        self._tell(JSONMessage(status=action, id=part, progress_detail=detail))

    def aux(self, value: object) -> None:
        """Something for programs."""
        self._tell(JSONMessage(aux=msgspec.Raw(encode(value))))


class Jobs:
    """Owns the tasks of jobs; leaving it cancels them."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[Hashable, Job] = {}

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        group, self._group = self._group, None
        for job in list(self._running.values()):
            job.cancel()
        if group is not None:
            await group.__aexit__(None, None, None)

    def listen(
        self, work: Callable[[Report], Awaitable[None]], key: Hashable = None
    ) -> AsyncIterator[JSONMessage]:
        """The messages of `work`, which begins at the first step; jobs with one `key` are the same job."""
        return Listener(self, work, key)

    def join(self, work: Callable[[Report], Awaitable[None]], key: Hashable) -> Job:
        """The running job of that key, or a new one."""
        assert self._group is not None, "used outside its context"
        own: Hashable = key if key is not None else object()
        job = self._running.get(own)
        if job is None:
            job = self._running[own] = Job()
            job.task = self._group.create_task(self._run(own, job, work))
        return job

    async def _run(self, key: Hashable, job: Job, work: Callable[[Report], Awaitable[None]]) -> None:
        error: BaseException | None = None
        try:
            await work(Report(job.tell))
        except asyncio.CancelledError:
            error = System("context canceled")
            raise
        except Exception as raised:  # noqa: BLE001 - the job's owner: its listeners are told
            error = first_error(raised)
        finally:
            if self._running.get(key) is job:
                del self._running[key]
            job.finish(error)


class Job:
    """One piece of work and who listens to it."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self._listeners: list[Listener] = []
        self._past: dict[Hashable, JSONMessage] = {}
        self._finished = False
        self._error: BaseException | None = None

    def add(self, listener: Listener) -> None:
        """From now on it hears everything, and first what was said so far."""
        for key, message in self._past.items():
            listener.offer(key, message)
        self._listeners.append(listener)
        if self._finished:
            listener.finish(self._error)

    async def leave(self, listener: Listener) -> None:
        """One listener less; without any the work is cancelled, and is over when this returns."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners and self.task is not None and not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task])

    def cancel(self) -> None:
        """Stop the work."""
        if self.task is not None:
            self.task.cancel()

    def tell(self, message: JSONMessage) -> None:
        """A message for everyone; of a part, latecomers hear the latest alone."""
        key: Hashable = message.id if message.progress_detail is not None and message.id else object()
        self._past[key] = message
        for listener in self._listeners:
            listener.offer(key, message)

    def finish(self, error: BaseException | None) -> None:
        """The work is over."""
        self._finished, self._error = True, error
        for listener in self._listeners:
            listener.finish(error)


class Listener(AsyncIterator[JSONMessage]):
    """Hears one job."""

    def __init__(self, jobs: Jobs, work: Callable[[Report], Awaitable[None]], key: Hashable) -> None:
        self._jobs = jobs
        self._work = work
        self._key = key
        self._job: Job | None = None
        self._waiting: dict[Hashable, JSONMessage] = {}
        self._more = asyncio.Event()
        self._over = False
        self._error: BaseException | None = None

    def offer(self, key: Hashable, message: JSONMessage) -> None:
        """Hear a message; one that is waiting is replaced if both tell how far the same step is."""
        waiting = self._waiting.get(key)
        if waiting is not None and waiting.status != message.status:
            self._waiting[object()] = self._waiting.pop(key)
        self._waiting[key] = message
        self._more.set()

    def finish(self, error: BaseException | None) -> None:
        """Hear that it is over."""
        self._over, self._error = True, error
        self._more.set()

    async def __anext__(self) -> JSONMessage:
        if self._job is None:
            if self._over:
                raise StopAsyncIteration
            self._job = self._jobs.join(self._work, self._key)
            self._job.add(self)
        while not self._waiting:
            if self._over:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._waiting.pop(next(iter(self._waiting)))

    async def aclose(self) -> None:
        """Stop listening."""
        self._over = True
        job, self._job = self._job, None
        if job is not None:
            await job.leave(self)


def first_error(raised: BaseException) -> BaseException:
    """The error to tell out of a group of them; the others are logged."""
    found = list(_flat(raised))
    ours = next((error for error in found if isinstance(error, MobyError)), found[0])
    for other in found:
        if other is not ours:
            log.info("another error at the same time", extra={"error": str(other)})
    if not isinstance(ours, MobyError):
        log.error("unexpected error", exc_info=ours)
        failure = System(str(ours) or type(ours).__name__)
        failure.__cause__ = ours
        return failure
    return ours


def _flat(error: BaseException) -> list[Any]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _flat(part)]
    return [error]
