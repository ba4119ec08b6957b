"""This file is about the event bus: the last events in memory, those before on disk, and who listens."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import islice
from weakref import WeakSet

from moby.core.events import Actor, Bus, Event
from moby.engine.event_journal import EventJournal
from moby.host.threads import blocking

KEPT = 256
BACKLOG = 1024
_AT_ONCE = 500


class Events(Bus):
    """Keeps the last `KEPT` events and hands every new one to each listener's bounded queue.

    With a journal, which has to be open, past events reach back as far as that does.
    """

    def __init__(self, journal: EventJournal | None = None) -> None:
        self._journal = journal
        self._past: deque[Event] = deque(maxlen=KEPT)
        self._listeners: WeakSet[_Listener] = WeakSet()

    def __len__(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def publish(self, type_: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
        """Tell everyone; a listener that is `BACKLOG` events behind is cut off."""
        now = time.time_ns()
        event = Event(type_, action, Actor(actor, dict(attributes)), now // 1_000_000_000, now)
        if self._journal is not None:
            self._journal.append(event)
        self._past.append(event)
        for listener in tuple(self._listeners):
            listener.offer(event)

    def listen(self, *, since_ns: int | None = None, until_ns: int | None = None) -> AsyncIterator[Event]:
        """Past events from `since_ns` (seconds' resolution is the client's business), then live ones."""
        if since_ns is None and until_ns is None:
            return _Listener(self._listeners, None, None)
        if self._journal is not None and not (
            since_ns is not None and self._past and self._past[0].time_nano < since_ns
        ):
            past = self._journal.read(since_ns, until_ns, self._journal.end)
        else:
            past = iter(
                [
                    event
                    for event in self._past
                    if (since_ns is None or event.time_nano >= since_ns)
                    and (until_ns is None or event.time_nano <= until_ns)
                ]
            )
        return _Listener(self._listeners, past, until_ns)


class _Listener(AsyncIterator[Event]):
    """One listener: registered when made; gone when its stream ends, is closed, or nobody holds it."""

    def __init__(
        self, others: WeakSet[_Listener], past: Iterator[Event] | None, until_ns: int | None
    ) -> None:
        self._others = others
        self._past = past
        self._read: deque[Event] = deque()
        self._queue: deque[Event] = deque()
        self._until_ns = until_ns
        self._more = asyncio.Event()
        self._over = until_ns is not None and until_ns <= time.time_ns()
        if not self._over:
            others.add(self)

    def offer(self, event: Event) -> None:
        if len(self._queue) >= BACKLOG:
            self._end()
        else:
            self._queue.append(event)
        self._more.set()

    def _end(self) -> None:
        self._over = True
        self._others.discard(self)

    async def __anext__(self) -> Event:
        if not self._read and self._past is not None:
            self._read.extend(await blocking(_some, self._past))
            if not self._read:
                self._past = None
        if self._read:
            return self._read.popleft()
        while not self._queue:
            if self._over:
                raise StopAsyncIteration
            self._more.clear()
            limit_s = None if self._until_ns is None else max(0.0, (self._until_ns - time.time_ns()) / 1e9)
            try:
                async with asyncio.timeout(limit_s):
                    await self._more.wait()
            except TimeoutError:
                self._end()
        return self._queue.popleft()

    async def aclose(self) -> None:
        """Stop listening."""
        self._end()
        self._past = None
        self._more.set()


def _some(events: Iterator[Event]) -> list[Event]:
    return list(islice(events, _AT_ONCE))
