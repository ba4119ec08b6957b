from __future__ import annotations

import asyncio
import time

import pytest

from moby.engine.events import BACKLOG, KEPT, Events


async def test_listener_sees_what_happens_after_it_was_made() -> None:
    bus = Events()
    bus.publish("container", "create", "before", {})
    listener = bus.listen()
    bus.publish("container", "start", "after", {"name": "x"})
    event = await anext(listener)
    assert (event.type, event.action, event.actor.id, event.actor.attributes) == (
        "container",
        "start",
        "after",
        {"name": "x"},
    )


async def test_past_events_come_first_and_only_from_since() -> None:
    bus = Events()
    bus.publish("container", "create", "1", {})
    since = time.time_ns()
    bus.publish("container", "start", "2", {})
    listener = bus.listen(since_ns=since)
    bus.publish("container", "die", "3", {})
    assert [(await anext(listener)).actor.id for _ in range(2)] == ["2", "3"]


async def test_stream_ends_when_until_has_passed() -> None:
    bus = Events()
    bus.publish("image", "pull", "1", {})
    assert [event.action async for event in bus.listen(since_ns=0, until_ns=time.time_ns())] == ["pull"]
    assert len(bus) == 0


async def test_stream_ends_at_until() -> None:
    bus = Events()
    async with asyncio.timeout(5):
        assert [event async for event in bus.listen(until_ns=time.time_ns() + 20_000_000)] == []
    assert len(bus) == 0


async def test_a_listener_that_does_not_read_is_cut_off_and_others_go_on() -> None:
    bus = Events()
    idle, busy = bus.listen(), bus.listen()
    seen = 0
    for number in range(BACKLOG + 10):
        bus.publish("container", "exec", str(number), {})
        await anext(busy)
        seen += 1
    assert seen == BACKLOG + 10
    assert sum([1 async for _ in idle]) == BACKLOG
    assert len(bus) == 1
    del busy
    assert len(bus) == 0


async def test_only_the_last_ones_are_kept() -> None:
    bus = Events()
    for number in range(KEPT + 5):
        bus.publish("container", "exec", str(number), {})
    past = [event async for event in bus.listen(since_ns=0, until_ns=time.time_ns())]
    assert len(past) == KEPT
    assert past[0].actor.id == "5"


async def test_closing_ends_the_stream() -> None:
    bus = Events()
    listener = bus.listen()
    await listener.aclose()  # type: ignore[attr-defined]
    with pytest.raises(StopAsyncIteration):
        await anext(listener)
