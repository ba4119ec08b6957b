"""This file is about `docker stats`: what containers use, sampled once a second however many watch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec

from moby.core.types.stats import ContainerStats
from moby.engine.containers.container import Container
from moby.engine.containers.record import timestamp
from moby.engine.containers.sampling import Sampler
from moby.engine.containers.shelf import Shelf
from moby.host.threads import blocking

log = logging.getLogger(__name__)

_EVERY_S = 1.0
# What is due this soon is sampled together with what is due now.
_TOGETHER_S = 0.1
_KEPT_OPEN = 256


class Feed:
    """The samples of one container for all who watch it; there is one as long as anybody does."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.watchers = 0
        self.due = 0.0
        self.latest: ContainerStats | None = None
        self.count = 0
        self.sampler: Sampler | None = None
        self._news = asyncio.Event()

    def publish(self, sample: ContainerStats | None) -> None:
        """A new sample; None is the end."""
        self.latest = sample
        self.count += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def after(self, seen: int) -> ContainerStats | None:
        """The latest sample, when there is another than the first `seen`."""
        while self.count == seen:
            await self._news.wait()
        return self.latest

    def close(self) -> None:
        """Let go of the files of the container's last run."""
        if self.sampler is not None:
            self.sampler.close()
            self.sampler = None


class Stats:
    """Samples containers; `run` has to run for those that are watched."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._feeds: dict[str, Feed] = {}
        self._wake = asyncio.Event()

    async def stats(self, name: str, *, stream: bool, one_shot: bool) -> AsyncIterator[ContainerStats]:
        """Samples, one a second; without `stream` the first that knows the one before it. Raises NotFound."""
        container = self._shelf.find(name)
        if not stream and (one_shot or not _runs(container)):
            return self._once(container)
        return self._watch(container, stream=stream)

    async def _once(self, container: Container) -> AsyncGenerator[ContainerStats, None]:
        sampler = self._sampler(container, keep=False) if _runs(container) else None
        found = await blocking(_sampled, [sampler]) if sampler else [None]
        yield _named(container, found[0])

    async def _watch(self, container: Container, *, stream: bool) -> AsyncGenerator[ContainerStats, None]:
        feed = self._feeds.setdefault(container.id, Feed(container))
        feed.watchers += 1
        self._wake.set()
        previous, seen = None, max(0, feed.count - 1)
        try:
            while (sample := await feed.after(seen)) is not None:
                seen = feed.count
                if previous is not None:
                    yield msgspec.structs.replace(
                        sample, preread=previous.read, precpu_stats=previous.cpu_stats
                    )
                    if not stream:
                        return
                elif stream:
                    yield sample
                previous = sample
        finally:
            feed.watchers -= 1

    async def run(self) -> None:
        """Sample what is watched until cancelled."""
        try:
            while True:
                self._wake.clear()
                self._drop()
                now = time.monotonic()
                due = [feed for feed in self._feeds.values() if feed.due <= now + _TOGETHER_S]
                for feed in due:
                    feed.due = now + _EVERY_S
                if due:
                    await self._sample(due)
                elif self._feeds:
                    await self._woken(min(feed.due for feed in self._feeds.values()) - now)
                else:
                    await self._wake.wait()
        finally:
            for feed in self._feeds.values():
                feed.close()

    async def _woken(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _drop(self) -> None:
        for name, feed in list(self._feeds.items()):
            if feed.container.removed:
                feed.publish(None)
            if feed.container.removed or not feed.watchers:
                feed.close()
                del self._feeds[name]

    async def _sample(self, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            self._follow(feed)
        try:
            found = await blocking(_sampled, [feed.sampler for feed in feeds])
        except Exception:  # one second without samples must not be the end of all others
            log.exception("cannot sample containers")
            found = [None] * len(feeds)
        for feed, sample in zip(feeds, found, strict=True):
            feed.publish(_named(feed.container, sample))

    def _follow(self, feed: Feed) -> None:
        """Look at the container's present run, not at one before it."""
        runs = _runs(feed.container)
        if feed.sampler is not None and (not runs or feed.sampler.pid != feed.container.record.state.pid):
            feed.close()
        if feed.sampler is None and runs:
            feed.sampler = self._sampler(feed.container, keep=len(self._feeds) <= _KEPT_OPEN)

    def _sampler(self, container: Container, *, keep: bool) -> Sampler:
        return Sampler(
            container.id, container.record.state.pid, networked=self._networked(container), keep=keep
        )

    def _networked(self, container: Container) -> bool:
        """Has it a network of its own, or does it share one that is a container's own?"""
        owner: Container | None = container
        while owner is not None and not owner.record.config.network_disabled:
            mode = owner.record.host_config.network_mode
            if not mode.startswith("container:"):
                return mode not in ("host", "none")
            owner = self._shelf.index.get(mode.partition(":")[2])
        return False


def _runs(container: Container) -> bool:
    state = container.record.state
    return state.running and not state.restarting


def _sampled(samplers: Sequence[Sampler | None]) -> list[ContainerStats | None]:
    """In a thread; None for what does not run, or has ended since."""
    found: list[ContainerStats | None] = []
    for sampler in samplers:
        sample = None
        if sampler is not None:
            try:
                sample = sampler.sample()
                sample.read = timestamp()
            except OSError:
                log.debug("a container ended before it was sampled")
        found.append(sample)
    return found


def _named(container: Container, sample: ContainerStats | None) -> ContainerStats:
    """A sample of this container, an empty one if there is none."""
    sample = sample or ContainerStats()
    sample.id, sample.name = container.id, f"/{container.record.name}"
    return sample
